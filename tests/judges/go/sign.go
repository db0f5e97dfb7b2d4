package main

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/emmansun/gmsm/pkcs7"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// sign makes SM2 SignedData over the octets of a file, under a certificate of its own, as the
// middleware of a USB key does. How: plain, attributes, detached.
func sign(how string, file string) error {
	message, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := &smx509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "zhang"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	octets, err := smx509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	certificate, err := smx509.ParseCertificate(octets)
	if err != nil {
		return err
	}
	signed, err := pkcs7.NewSMSignedData(message)
	if err != nil {
		return err
	}
	if how == "attributes" {
		err = signed.AddSigner(certificate, key, pkcs7.SignerInfoConfig{})
	} else {
		err = signed.SignWithoutAttr(certificate, key, pkcs7.SignerInfoConfig{})
	}
	if err != nil {
		return err
	}
	if how == "detached" {
		signed.Detach()
	}
	made, err := signed.Finish()
	if err != nil {
		return err
	}
	fmt.Println(hex.EncodeToString(made))
	return nil
}
