// A relying party with go-oidc: code flow with PKCE, ID token verified against the JWKS.
// go_oidc ISSUER CLIENT_ID CLIENT_SECRET ADDRESS: serves http://ADDRESS/, which logs in and shows the claims.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func random() string {
	octets := make([]byte, 32)
	if _, err := rand.Read(octets); err != nil {
		log.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(octets)
}

func main() {
	issuer, id, secret, address := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		log.Fatal(err)
	}
	// ES256 must be named: go-oidc takes the algorithms from discovery.
	verifier := provider.Verifier(&oidc.Config{ClientID: id})
	config := oauth2.Config{
		ClientID: id, ClientSecret: secret, Endpoint: provider.Endpoint(),
		RedirectURL: "http://" + address + "/callback",
		Scopes:      []string{oidc.ScopeOpenID, "profile", "email"},
	}
	type pending struct{ verifier, nonce string }
	var mutex sync.Mutex
	waiting := map[string]pending{}

	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		state, one := random(), pending{oauth2.GenerateVerifier(), random()}
		mutex.Lock()
		waiting[state] = one
		mutex.Unlock()
		http.Redirect(w, r, config.AuthCodeURL(state, oidc.Nonce(one.nonce), oauth2.S256ChallengeOption(one.verifier)), http.StatusFound)
	})
	http.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		one, known := waiting[r.URL.Query().Get("state")]
		delete(waiting, r.URL.Query().Get("state"))
		mutex.Unlock()
		if !known {
			http.Error(w, "state is not known", http.StatusBadRequest)
			return
		}
		token, err := config.Exchange(r.Context(), r.URL.Query().Get("code"), oauth2.VerifierOption(one.verifier))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		raw, _ := token.Extra("id_token").(string)
		verified, err := verifier.Verify(r.Context(), raw)
		if err != nil || verified.Nonce != one.nonce || verified.VerifyAccessToken(token.AccessToken) != nil {
			http.Error(w, fmt.Sprint("the ID token is not good: ", err), http.StatusBadGateway)
			return
		}
		user, err := provider.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		var claims map[string]any
		if err := user.Claims(&claims); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_ = json.NewEncoder(w).Encode(claims)
	})
	log.Fatal(http.ListenAndServe(address, nil))
}
