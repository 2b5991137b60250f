package bubble_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestTimersAtOnce is what ends a process with the race detector in plain
// bubbles: a quarter of the runs on two processors, with these numbers.
func TestTimersAtOnce(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range 200 {
		bubble.Test(t, func(t *testing.T) {
			var waiters sync.WaitGroup
			for range 4 {
				waiters.Go(func() {
					for range 200 {
						<-time.After(0)
					}
				})
			}
			waiters.Wait()
		})
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("%d processors after the bubbles, %d before", now, before)
	}
}

// TestAllBubblesAreThese: a plain bubble anywhere would end the race detector's
// runs now and then.
func TestAllBubblesAreThese(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	plain := "synctest" + ".Test("
	files := 0
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), plain) {
			t.Errorf("%s: %s…), want bubble.Test", path, plain)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("looked into %d files", files)
	}
}
