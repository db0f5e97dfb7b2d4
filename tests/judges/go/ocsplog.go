package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

// checkAnswers holds every recorded answer against what was asked and against the log of
// revocations. Files:
//
//	ISSUER     the issuer's certificate, DER
//	QUESTIONS  a line each: "known" or "unknown", the CertID and the nonce ("-": none) in hex
//	RECORD     of benchmarks/ocsp/load.c
//	LOG        a line for each revocation: serial in hex, when it began and when it was done, ns
//	           of the clock of RECORD
//	BOUND      milliseconds after which nobody may hear "good"
//
// It prints counts, and the latest "good" after a revocation, in milliseconds. One wrong answer, and
// it prints what is wrong and ends with "no".
func checkAnswers(files []string) error {
	issuer, err := certificate(files[0])
	if err != nil {
		return err
	}
	questions, err := readQuestions(files[1])
	if err != nil {
		return err
	}
	log, err := readLog(files[3])
	if err != nil {
		return err
	}
	bound, err := strconv.ParseFloat(files[4], 64)
	if err != nil {
		return err
	}
	check := &checker{issuer: issuer, questions: questions, log: log, bound: int64(bound * 1e6)}
	if err := check.all(files[2]); err != nil {
		return err
	}
	for _, wrong := range check.wrong {
		fmt.Println("wrong:", wrong)
	}
	fmt.Printf("answers=%d good=%d revoked=%d unknown=%d refused=%d nonces=%d without_nonce=%d "+
		"signatures=%d wrong=%d latest_good_ms=%.1f\n", check.answers, check.good, check.revoked,
		check.unknown, check.refused, check.nonces, check.withoutNonce, len(check.parsed),
		check.wrongs, float64(check.latest)/1e6)
	if check.wrongs > 0 {
		return fmt.Errorf("%d wrong answers", check.wrongs)
	}
	if check.answers == 0 {
		return errors.New("nothing was answered")
	}
	return nil
}

type question struct {
	known         bool
	certID, nonce []byte
}

type revocation struct{ began, done int64 }

type verdict struct {
	response *ocsp.Response
	err      error
}

type checker struct {
	issuer    *x509.Certificate
	questions []question
	log       map[string]revocation
	bound     int64

	mutex                                                          sync.Mutex
	parsed                                                         map[[32]byte]verdict
	wrong                                                          []string
	answers, good, revoked, unknown, refused, nonces, withoutNonce int
	wrongs                                                         int
	latest                                                         int64
}

type recorded struct {
	number         uint32
	sent, received int64
	body           []byte
}

func (c *checker) all(file string) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	defer source.Close()
	c.parsed = map[[32]byte]verdict{}
	queue := make(chan recorded, 1024)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for one := range queue {
				c.one(one)
			}
		}()
	}
	err = readRecord(bufio.NewReaderSize(source, 1<<20), queue)
	close(queue)
	workers.Wait()
	return err
}

func readRecord(in io.Reader, queue chan<- recorded) error {
	var head [24]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		one := recorded{
			number:   binary.LittleEndian.Uint32(head[:]),
			sent:     int64(binary.LittleEndian.Uint64(head[4:])),
			received: int64(binary.LittleEndian.Uint64(head[12:])),
			body:     make([]byte, binary.LittleEndian.Uint32(head[20:])),
		}
		if _, err := io.ReadFull(in, one.body); err != nil {
			return err
		}
		queue <- one
	}
}

func (c *checker) one(a recorded) {
	asked := c.questions[a.number]
	found := c.parse(a.body)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.answers++
	if reason := c.judge(asked, a, found); reason != "" {
		if c.wrongs++; c.wrongs <= 10 {
			c.wrong = append(c.wrong, fmt.Sprintf("question %d: %s", a.number, reason))
		}
	}
}

// parse verifies the signature of an answer, once for all who were given the same octets.
func (c *checker) parse(body []byte) verdict {
	key := sha256.Sum256(body)
	c.mutex.Lock()
	found, is := c.parsed[key]
	c.mutex.Unlock()
	if is {
		return found
	}
	response, err := ocsp.ParseResponse(body, c.issuer)
	if err == nil && response.Certificate != nil && !isResponder(response.Certificate) {
		err = errors.New("signed by a certificate without OCSPSigning")
	}
	found = verdict{response, err}
	c.mutex.Lock()
	c.parsed[key] = found
	c.mutex.Unlock()
	return found
}

func (c *checker) judge(asked question, a recorded, found verdict) string {
	var refusal ocsp.ResponseError
	if errors.As(found.err, &refusal) {
		return c.judgeRefusal(asked, refusal)
	}
	if found.err != nil {
		return found.err.Error()
	}
	if !bytes.Contains(a.body, asked.certID) {
		return "the answer is about another certificate"
	}
	if len(asked.nonce) > 0 && bytes.Contains(a.body, nonceOID) {
		if c.nonces++; !bytes.Contains(a.body, asked.nonce) {
			return "the nonce is another one"
		}
	} else if len(asked.nonce) > 0 {
		c.withoutNonce++
	}
	response := found.response
	if now := time.Now(); response.ThisUpdate.After(now) || response.NextUpdate.Before(now) {
		return "it does not hold now"
	}
	return c.judgeStatus(asked, a, response)
}

var nonceOID = []byte{0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02}

func (c *checker) judgeRefusal(asked question, refusal ocsp.ResponseError) string {
	c.refused++
	if refusal.Status == ocsp.TryLater || (refusal.Status == ocsp.Unauthorized && !asked.known) {
		return ""
	}
	return "refused: " + refusal.Error()
}

func (c *checker) judgeStatus(asked question, a recorded, response *ocsp.Response) string {
	revoked, is := c.log[response.SerialNumber.Text(16)]
	switch response.Status {
	case ocsp.Good:
		c.good++
		if !asked.known {
			return "good, and never issued"
		}
		if late := a.sent - revoked.done; is && late > 0 {
			c.latest = max(c.latest, late)
			if late > c.bound {
				return fmt.Sprintf("good, %.1f ms after the revocation", float64(late)/1e6)
			}
		}
	case ocsp.Revoked:
		c.revoked++
		if !is || a.received < revoked.began {
			return "revoked, and nobody revoked it"
		}
	default:
		c.unknown++
		if asked.known {
			return "unknown, and it was issued"
		}
	}
	return ""
}

func readQuestions(file string) ([]question, error) {
	var questions []question
	err := eachLine(file, 3, func(words []string) error {
		certID, err := hex.DecodeString(words[1])
		if err != nil {
			return err
		}
		one := question{known: words[0] == "known", certID: certID}
		if words[2] != "-" {
			one.nonce, err = hex.DecodeString(words[2])
		}
		questions = append(questions, one)
		return err
	})
	return questions, err
}

func readLog(file string) (map[string]revocation, error) {
	log := map[string]revocation{}
	err := eachLine(file, 3, func(words []string) error {
		began, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return err
		}
		done, err := strconv.ParseInt(words[2], 10, 64)
		log[words[0]] = revocation{began, done}
		return err
	})
	return log, err
}

func eachLine(file string, count int, act func([]string) error) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	defer source.Close()
	lines := bufio.NewScanner(source)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != count {
			return fmt.Errorf("%s: not %d words: %s", file, count, lines.Text())
		}
		if err := act(words); err != nil {
			return err
		}
	}
	return lines.Err()
}
