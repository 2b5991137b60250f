// Package v1call is what the v1 APIs of masters and agents have in common: how a
// call is read from a request, how an answer or a stream of events is written,
// and how a call is refused.
//
// Nouns. A call is one POST, in JSON or protobuf as its Content-Type says. A
// stream is a 200 answer that stays open, framed as RecordIO: the length of a
// record in decimal, a newline, the record. An Error is a refusal with its
// status.
//
// Status codes, texts and the order of the checks are those measured on Mesos
// 1.3.2 (contracts section 7 and 6.5). Bodies of more than MaxBody bytes are
// refused (413, as the real one has no limit of its own), and JSON that is
// nested too deeply (400).
//
// What calls mean is decided by the packages that use this one.
package v1call

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// The media types of both APIs.
const (
	JSON     = "application/json"
	Protobuf = "application/x-protobuf"
)

// MaxBody is the longest body of a call, in bytes.
const MaxBody = 16 << 20

// Error is a refusal: the status and the text of the answer.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// BadRequest is a refusal with status 400.
func BadRequest(format string, args ...any) error {
	return &Error{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// Refuse answers with err if it is an *Error, else does nothing: then the
// connection is gone or the answer was begun.
func Refuse(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	if e.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "POST")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.Status)
	io.WriteString(w, e.Text)
}

// Message is what every mesos-go message can do.
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// Read reads the call of a request into dst. All errors are *Error.
func Read(w http.ResponseWriter, r *http.Request, dst Message) error {
	if r.Method != http.MethodPost {
		return &Error{http.StatusMethodNotAllowed, fmt.Sprintf("Expecting one of { 'POST' }, but received '%s'", r.Method)}
	}
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return BadRequest("Expecting 'Content-Type' to be present")
	}
	body, err := Body(w, r, MaxBody)
	if err != nil {
		return err
	}
	media, _, _ := mime.ParseMediaType(ct)
	switch media {
	case JSON:
		return fromJSON(body, dst)
	case Protobuf:
		return fromProtobuf(body, dst)
	}
	return &Error{http.StatusUnsupportedMediaType, fmt.Sprintf("Expecting 'Content-Type' of %s or %s", JSON, Protobuf)}
}

// Body reads a request's body, of at most that many bytes. All errors are
// *Error.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := readBody(w, r, most)
	if err != nil {
		w.Header().Set("Connection", "close") // do not wait for the rest of it
		return nil, err
	}
	// From here on a client may be silent: it may listen to a stream.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	tooLong := &Error{http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is longer than %d bytes", most)}
	if r.ContentLength > most {
		return nil, tooLong
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, tooLong
	case err != nil:
		return nil, BadRequest("Failed to read body: %v", err)
	}
	return body, nil
}

func fromJSON(body []byte, dst Message) error {
	err := mjson.Decode(body, dst)
	var syntax *mjson.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return BadRequest("Failed to parse body into JSON: %v", err)
	case err != nil:
		return BadRequest("Failed to convert JSON into Call protobuf: %v", err)
	}
	return nil
}

func fromProtobuf(body []byte, dst Message) (err error) {
	defer func() { // generated decoders may index past hostile input
		if p := recover(); p != nil {
			err = BadRequest("Failed to parse body into Call protobuf")
		}
	}()
	if dst.Unmarshal(body) != nil {
		return BadRequest("Failed to parse body into Call protobuf")
	}
	return nil
}

// Accepted picks JSON if the client takes it (or says nothing), else
// protobuf. Its error is an *Error with status 406.
func Accepted(r *http.Request) (media string, err error) {
	headers := r.Header.Values("Accept")
	if len(headers) == 0 {
		return JSON, nil
	}
	protobuf := false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		m, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil || params["q"] == "0" || params["q"] == "0.0" {
			continue
		}
		switch m {
		case JSON, "*/*", "application/*":
			return JSON, nil
		case Protobuf:
			protobuf = true
		}
	}
	if !protobuf {
		return "", &Error{http.StatusNotAcceptable, fmt.Sprintf("Expecting 'Accept' to allow '%s' or '%s'", Protobuf, JSON)}
	}
	return Protobuf, nil
}

// Encode returns m in a media type: JSON with sorted keys, or protobuf.
func Encode(m Message, media string) ([]byte, error) {
	if media == JSON {
		return mjson.Marshal(mjson.Proto(m)), nil
	}
	b, err := m.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return b, nil
}
