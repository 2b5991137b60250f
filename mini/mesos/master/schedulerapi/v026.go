package schedulerapi

import (
	"encoding/binary"
	"errors"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// event026 is an event of 0.26 with inverse offers, which has them in OFFERS
// (its v1/scheduler.proto); mesos-go knows the later form only.
type event026 struct {
	Type   scheduler.Event_Type `protobuf:"varint,1,opt,name=type,enum=mesos.v1.scheduler.Event_Type"`
	Offers *offers026           `protobuf:"bytes,3,opt,name=offers"`
}

type offers026 struct {
	InverseOffers []mesos.InverseOffer `protobuf:"bytes,2,rep,name=inverse_offers"`
}

func inverse026(e *scheduler.Event_InverseOffers) *event026 {
	return &event026{scheduler.Event_OFFERS, &offers026{e.InverseOffers}}
}

// Marshal writes protobuf: the fields as they are numbered above.
func (e *event026) Marshal() ([]byte, error) {
	var offers []byte
	for i := range e.Offers.InverseOffers {
		b, err := e.Offers.InverseOffers[i].Marshal()
		if err != nil {
			return nil, err
		}
		offers = delimited(offers, 2, b)
	}
	out := binary.AppendUvarint([]byte{1 << 3}, uint64(e.Type))
	return delimited(out, 3, offers), nil
}

// delimited appends a field that is a message.
func delimited(to []byte, number uint64, message []byte) []byte {
	to = binary.AppendUvarint(to, number<<3|2)
	to = binary.AppendUvarint(to, uint64(len(message)))
	return append(to, message...)
}

// Unmarshal is there for the interface: a master sends events only.
func (*event026) Unmarshal([]byte) error { return errors.ErrUnsupported }
