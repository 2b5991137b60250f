package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/local/engine/internal/api"
)

// imageStore is the catalogue and the references that pull and tag added.
type imageStore struct {
	file      string
	catalogue []Image
	ids       []string // of the catalogue's entries

	mu    sync.Mutex
	added map[string]string // reference to the catalogue's name
}

func openImages(dir string, catalogue []Image) (*imageStore, error) {
	s := &imageStore{file: filepath.Join(dir, "images.json"), catalogue: catalogue, added: map[string]string{}}
	for _, img := range catalogue {
		b, err := json.Marshal(img)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", img.Name, err)
		}
		sum := sha256.Sum256(b)
		s.ids = append(s.ids, "sha256:"+hex.EncodeToString(sum[:]))
	}
	b, err := os.ReadFile(s.file)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("image references: %w", err)
	}
	var added map[string]string
	if err := json.Unmarshal(b, &added); err != nil {
		return nil, fmt.Errorf("image references: %w", err)
	}
	for ref, name := range added { // an entry may have left the catalogue
		if slices.ContainsFunc(catalogue, func(i Image) bool { return i.Name == name }) {
			s.added[ref] = name
		}
	}
	return s, nil
}

// names are an entry's own names.
func (i Image) names() []string { return append([]string{i.Name}, i.Aliases...) }

// covers tells whether one of the entry's names stands for the reference.
func (i Image) covers(ref api.Reference) bool {
	return slices.ContainsFunc(i.names(), func(name string) bool {
		own, err := api.ParseReference(name)
		if err != nil || own.Repository != ref.Repository {
			return false
		}
		return !tagged(name) || own.Tag == ref.Tag
	})
}

func tagged(name string) bool {
	return strings.LastIndexByte(name, ':') > strings.LastIndexByte(name, '/')
}

// find resolves a reference, an id or a prefix of one.
func (s *imageStore) find(name string) (int, error) {
	id := strings.TrimPrefix(name, "sha256:")
	if len(id) >= 4 && strings.Trim(id, "0123456789abcdef") == "" {
		for i := range s.ids {
			if strings.HasPrefix(s.ids[i], "sha256:"+id) {
				return i, nil
			}
		}
	}
	ref, err := api.ParseReference(name)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	added := s.added[ref.String()]
	s.mu.Unlock()
	for i, img := range s.catalogue {
		if img.covers(ref) || img.Name == added {
			return i, nil
		}
	}
	return 0, s.missing(ref)
}

// missing says what there is instead, and where to go with the image.
func (s *imageStore) missing(ref api.Reference) error {
	var have []string
	for _, img := range s.catalogue {
		have = append(have, img.names()...)
	}
	return api.NotFound("No such image: %s: not in this engine's catalogue, which has %s. "+
		"For any other image use a lab with a real Docker engine (provider docker or vagrant)", ref, strings.Join(have, ", "))
}

// add remembers a reference.
func (s *imageStore) add(ref api.Reference, image int) error {
	return s.change(func(m map[string]string) { m[ref.String()] = s.catalogue[image].Name })
}

// drop forgets a reference that add made; false if it made none.
func (s *imageStore) drop(ref api.Reference) (bool, error) {
	s.mu.Lock()
	_, ok := s.added[ref.String()]
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	return true, s.change(func(m map[string]string) { delete(m, ref.String()) })
}

func (s *imageStore) change(edit func(map[string]string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.added)
	edit(next)
	b, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return fmt.Errorf("image references: %w", err)
	}
	if err := atomicfile.Write(s.file, b, 0o600); err != nil {
		return fmt.Errorf("image references: %w", err)
	}
	s.added = next
	return nil
}

// tags lists an entry's references: its own names (as latest where they have
// no tag) and the added ones.
func (s *imageStore) tags(image int) []string {
	img := s.catalogue[image]
	var tags []string
	for _, name := range img.names() {
		if ref, err := api.ParseReference(name); err == nil {
			tags = append(tags, ref.String())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ref := range slices.Sorted(maps.Keys(s.added)) {
		if s.added[ref] == img.Name && !slices.Contains(tags, ref) {
			tags = append(tags, ref)
		}
	}
	return tags
}
