// Go's opinion: gmsm's (github.com/emmansun/gmsm) and that of x/crypto/ocsp. It is asked by a word and file names of DER.
//
//	csrresponse KEY FILE           opens it with the PKCS#8 signing key, prints the encryption key
//	enveloped-key KEY FILE         the same of an SM2EnvelopedKey
//	signed-and-enveloped KEY FILE  the same, and verifies the signature
//	cfca KEY FILE                  the same of what CFCA sends for a double request
//	cfca-request CN CSR KEY TEMP   makes a double request, and writes the two keys as PKCS#8
//
//	sign HOW FILE                  signs the file with a new SM2 key (sign.go), prints SignedData
//
//	ocsp ISSUER SUBJECT URL        asks for the status (ocsp.go), and prints good or revoked
//	ocsp-answers FILE...           holds recorded answers against a log (ocsplog.go)
//
// Printed is else the SubjectPublicKeyInfo of the key inside, in hex. Exit 1: no.
package main

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/emmansun/gmsm/cfca"
	"github.com/emmansun/gmsm/pkcs7"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

func main() {
	if err := answer(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println("no:", err)
		os.Exit(1)
	}
}

func answer(word string, files []string) error {
	if word == "cfca-request" {
		return request(files[0], files[1], files[2], files[3])
	}
	switch word {
	case "sign":
		return sign(files[0], files[1])
	case "ocsp":
		return askOCSP(files[0], files[1], files[2])
	case "ocsp-answers":
		return checkAnswers(files)
	}
	key, err := privateKey(files[0])
	if err != nil {
		return err
	}
	octets, err := os.ReadFile(files[1])
	if err != nil {
		return err
	}
	found, err := open(word, key, octets)
	if err != nil {
		return err
	}
	spki, err := smx509.MarshalPKIXPublicKey(&found.PublicKey)
	if err != nil {
		return err
	}
	fmt.Println(hex.EncodeToString(spki))
	return nil
}

func open(word string, key *sm2.PrivateKey, octets []byte) (*sm2.PrivateKey, error) {
	switch word {
	case "csrresponse":
		response, err := smx509.ParseCSRResponse(key, octets)
		if err != nil {
			return nil, err
		}
		if len(response.SignCerts) != 1 || len(response.EncryptCerts) != 1 {
			return nil, errors.New("not one certificate of each kind")
		}
		return response.EncryptPrivateKey, nil
	case "enveloped-key":
		return sm2.ParseEnvelopedPrivateKey(key, octets)
	case "signed-and-enveloped":
		message, err := pkcs7.Parse(octets)
		if err != nil {
			return nil, err
		}
		content, err := message.DecryptAndVerifyOnlyOne(key, message.Verify)
		if err != nil {
			return nil, err
		}
		return smx509.ParseSM2PrivateKey(content)
	case "cfca":
		return cfca.ParseEscrowPrivateKey(key, octets)
	}
	return nil, errors.New("no such question: " + word)
}

func privateKey(file string) (*sm2.PrivateKey, error) {
	octets, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := smx509.ParsePKCS8PrivateKey(octets)
	if err != nil {
		return nil, err
	}
	found, is := key.(*sm2.PrivateKey)
	if !is {
		return nil, errors.New("not an SM2 key")
	}
	return found, nil
}

func request(commonName, csrFile, keyFile, temporaryFile string) error {
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	temporary, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	subject := pkix.Name{Country: []string{"CN"}, CommonName: commonName}
	template := &x509.CertificateRequest{Subject: subject}
	csr, err := cfca.CreateCertificateRequest(rand.Reader, template, key, temporary.Public(), "111111")
	if err != nil {
		return err
	}
	for file, made := range map[string]*sm2.PrivateKey{keyFile: key, temporaryFile: temporary} {
		octets, err := smx509.MarshalPKCS8PrivateKey(made)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, octets, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(csrFile, csr, 0o600)
}
