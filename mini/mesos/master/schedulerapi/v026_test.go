package schedulerapi

import (
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// TestInverseOffersOf026: in both media types as its v1/scheduler.proto has them.
// In protobuf a field that is not known is kept apart by its number: what is read
// as a later version's Offers must be an event of OFFERS without offers, and the
// bytes behind must be the inverse offer's.
func TestInverseOffersOf026(t *testing.T) {
	io := mesos.InverseOffer{OfferID: mesos.OfferID{Value: "O1"}, FrameworkID: mesos.FrameworkID{Value: "F"},
		Unavailability: mesos.Unavailability{Start: mesos.TimeInfo{Nanoseconds: 7}}}
	e := inverse026(&scheduler.Event_InverseOffers{InverseOffers: []mesos.InverseOffer{io, io}})
	text, err := v1call.Encode(e, v1call.JSON)
	const one = `{"framework_id":{"value":"F"},"id":{"value":"O1"},"unavailability":{"start":{"nanoseconds":7}}}`
	if want := `{"offers":{"inverse_offers":[` + one + "," + one + `]},"type":"OFFERS"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	b, err := v1call.Encode(e, v1call.Protobuf)
	if err != nil {
		t.Fatal(err)
	}
	var later scheduler.Event
	if err := later.Unmarshal(b); err != nil || later.Type != scheduler.Event_OFFERS || later.Offers == nil || len(later.Offers.Offers) != 0 {
		t.Errorf("%+v, %v", later, err)
	}
	// A later Event_InverseOffers has the list as field 1, 0.26 as field 2.
	inner := b[len(b)-2*(len(mustMarshal(t, &io))+2):]
	for i := 0; i < len(inner); i += 2 + int(inner[i+1]) {
		if inner[i] != 2<<3|2 {
			t.Fatalf("field %d in % x", inner[i]>>3, inner)
		}
		var got mesos.InverseOffer
		if err := got.Unmarshal(inner[i+2 : i+2+int(inner[i+1])]); err != nil || !got.Equal(io) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func mustMarshal(t *testing.T, m v1call.Message) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
