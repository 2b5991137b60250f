package core

import (
	"context"
	"time"

	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/turn"
)

// lendAfter is how long the store may take before those who only read are let
// in. Until then they wait, as what they would see is half a change; after it
// a page that stands still would be worse.
const lendAfter = 100 * time.Millisecond

// lending is the store of one that has the turn: while a write takes long, it
// lends it.
type lending struct {
	store.Store
	turn *turn.Turn
}

func (l lending) Put(ctx context.Context, key string, value []byte) error {
	defer lend(l.turn)()
	return l.Store.Put(ctx, key, value)
}

func (l lending) Delete(ctx context.Context, key string) error {
	defer lend(l.turn)()
	return l.Store.Delete(ctx, key)
}

// lend lends the turn in a while, unless back is called before, which in any
// case has it back.
func lend(t *turn.Turn) (back func()) {
	lent := make(chan struct{})
	soon := time.AfterFunc(lendAfter, func() { t.Lend(); close(lent) })
	return func() {
		if !soon.Stop() {
			<-lent
			t.Regain()
		}
	}
}
