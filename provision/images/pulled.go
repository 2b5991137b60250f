package images

import "github.com/moby/moby/api/types/jsonstream"

// pulled adds up what an engine says while it pulls: each layer's download by
// itself, in bytes.
type pulled struct{ layers map[string]layerProgress }

type layerProgress struct{ done, total int64 }

func (p *pulled) take(m jsonstream.Message) {
	l, known := p.layers[m.ID]
	switch {
	case m.ID == "":
	case m.Status == "Downloading" && m.Progress != nil && m.Progress.Total > 0:
		p.layers[m.ID] = layerProgress{min(m.Progress.Current, m.Progress.Total), m.Progress.Total}
	case known && (m.Status == "Verifying Checksum" || m.Status == "Download complete" || m.Status == "Extracting" || m.Status == "Pull complete"):
		p.layers[m.ID] = layerProgress{l.total, l.total}
	}
}

func (p *pulled) done() (n int64) {
	for _, l := range p.layers {
		n += l.done
	}
	return n
}

func (p *pulled) total() (n int64) {
	for _, l := range p.layers {
		n += l.total
	}
	return n
}
