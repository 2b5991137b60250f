package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// imageFile writes an archive as docker save does: "imagefile FILE LABEL
// NAME…", one image without layers for each name.
func imageFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: imagefile FILE LABEL NAME…")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	w := tar.NewWriter(f)
	put := func(name string, v any) {
		text, err := json.Marshal(v)
		ts.Check(err)
		ts.Check(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err = w.Write(text)
		ts.Check(err)
	}
	var manifest []map[string]any
	for i, name := range args[2:] {
		config := fmt.Sprintf("%d.json", i)
		put(config, map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": map[string]string{"lab.images": args[1]}}})
		manifest = append(manifest, map[string]any{"Config": config, "RepoTags": []string{name}})
	}
	put("manifest.json", manifest)
	ts.Check(w.Close())
}
