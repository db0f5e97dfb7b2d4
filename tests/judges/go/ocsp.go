package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"golang.org/x/crypto/ocsp"
)

// askOCSP asks the responder at a URL about a certificate, verifies the answer as Go's servers do
// (golang.org/x/crypto/ocsp), and prints its word.
func askOCSP(issuerFile, subjectFile, url string) error {
	issuer, err := certificate(issuerFile)
	if err != nil {
		return err
	}
	subject, err := certificate(subjectFile)
	if err != nil {
		return err
	}
	request, err := ocsp.CreateRequest(subject, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	if err != nil {
		return err
	}
	answer, err := http.Post(url, "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	octets, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	response, err := ocsp.ParseResponseForCert(octets, subject, issuer)
	if err != nil {
		return err
	}
	// The library leaves this to its caller: any certificate of the issuer could answer.
	if signer := response.Certificate; signer != nil && !isResponder(signer) {
		return errors.New("the answer is signed by a certificate without OCSPSigning")
	}
	switch response.Status {
	case ocsp.Good:
		fmt.Println("good")
	case ocsp.Revoked:
		fmt.Println("revoked")
	default:
		return errors.New("the responder does not know the certificate")
	}
	return nil
}

func isResponder(signer *x509.Certificate) bool {
	return slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
}

func certificate(file string) (*x509.Certificate, error) {
	octets, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(octets)
}
