package stack

import (
	"bytes"
	"encoding/json"
	"testing"
)

func FuzzParseStats(f *testing.F) {
	f.Add([]byte("# pxname,svname,stot,status\na,b,1,UP\n"))
	f.Add([]byte("# pxname\n\"a\"b\n\n,,,\n"))
	f.Add([]byte("pxname,stot\nx,NaN\ny,1e999\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		stats, err := ParseStats(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, s := range stats {
			if s.Total != s.Total {
				t.Fatal("not a number")
			}
			if _, err := json.Marshal(s); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
		}
	})
}

func FuzzFourLetterWords(f *testing.F) {
	f.Add([]byte("imok"))
	f.Add([]byte("Zookeeper version: 3.4.8--1, built on x\nMode: standalone\nConnections: 1\n"))
	f.Add([]byte("ruok is not executed because it is not in the whitelist.\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if imOK(data) == nil && !bytes.Contains(data, []byte("imok")) && !bytes.Contains(data, []byte("whitelist")) {
			t.Fatalf("%q is no yes", data)
		}
		if s, err := parseSrvr(data); err == nil && s.Mode == "" {
			t.Fatal("no mode and no error")
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"eventType":"status_update_event","ports":[1]}`))
	f.Add([]byte(`{"eventType":1,"alive":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEvent(data, "frame")
		if err == nil && e.Type == "" {
			t.Fatalf("%q has no type", data)
		}
		refusal(&StatusError{Status: 422, Body: data})
		satisfies(data, Definition{JSON: data})
	})
}
