package resource

import (
	"errors"
	"fmt"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Volume makes a disk a persistent volume: data of a role that outlive the
// tasks that use them. Its ID is unique in its role on an agent, and alone tells
// volumes apart: Path is only how it is used, and tasks may say otherwise.
type Volume struct {
	ID        string
	Principal string // who made it, "" if that was not told
	Path      string // where tasks find it
}

// diskError is what is wrong with a DiskInfo, in Mesos' words.
type diskError string

func (e diskError) Error() string { return "Invalid DiskInfo: " + string(e) }

// volume reads what a resource says about its disk. What is on a disk of its own
// (source) is not supported.
func (it *Item) volume(r *mesos.Resource) error {
	d := r.Disk
	if d == nil {
		return nil
	}
	p, v := d.Persistence, d.Volume
	switch {
	case r.Name != "disk" || *r.Type != mesos.SCALAR:
		return fmt.Errorf("DiskInfo should not be set for %s resource", r.Name)
	case d.Source != nil:
		return ErrUnsupported
	case p == nil && v != nil:
		return diskError("Non-persistent volume not supported")
	case p == nil:
		return diskError("DiskInfo is set but empty")
	case it.Role == "*":
		return diskError("Persistent volumes cannot be created from unreserved resources")
	case v == nil:
		return diskError("Expecting 'volume' to be set for persistent volume")
	case v.GetMode() == mesos.RO:
		return diskError("Read-only persistent volume not supported")
	case v.HostPath != nil:
		return diskError("Expecting 'host_path' to be unset for persistent volume")
	case badVolumeID(p.ID):
		return diskError("Persistence ID '" + p.ID + "' contains invalid characters")
	}
	it.Volume = &Volume{ID: p.ID, Principal: p.GetPrincipal(), Path: v.ContainerPath}
	return nil
}

// badVolumeID: an ID becomes the name of a folder.
func badVolumeID(id string) bool {
	return id == "" || id == "." || id == ".." || len(id) > 255 ||
		strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || r <= ' ' || r == 0x7f })
}

func (v *Volume) proto() *mesos.Resource_DiskInfo {
	if v == nil {
		return nil
	}
	d := &mesos.Resource_DiskInfo{
		Persistence: &mesos.Resource_DiskInfo_Persistence{ID: v.ID},
		Volume:      &mesos.Volume{ContainerPath: v.Path, Mode: mesos.RW.Enum()},
	}
	if v.Principal != "" {
		d.Persistence.Principal = &v.Principal
	}
	return d
}

// id is "" for what is no volume.
func (v *Volume) id() string {
	if v == nil {
		return ""
	}
	return v.ID
}

// text is what stands behind the role in messages.
func (v *Volume) text() string {
	if v == nil {
		return ""
	}
	return "[" + v.ID + ":" + v.Path + "]"
}

// Volumes returns the persistent volumes.
func (s Set) Volumes() Set { return s.filter(func(it Item) bool { return it.Volume != nil }) }

// Kept returns what an agent must remember, as it does not come from its flags:
// dynamic reservations and volumes.
func (s Set) Kept() Set {
	return s.filter(func(it Item) bool { return it.Volume != nil || it.Reserved.Dynamic() })
}

// Plain returns s with its volumes made disk again, reserved as they were.
func (s Set) Plain() Set {
	var out Set
	for _, it := range s.items {
		it.Volume = nil
		out = out.add(it)
	}
	return out
}

// HasVolume says whether one of this role and ID is in s.
func (s Set) HasVolume(role, id string) bool {
	for _, it := range s.items {
		if it.Role == role && it.Volume.id() == id && id != "" {
			return true
		}
	}
	return false
}

// FromVolumes is FromProto for the volumes of an operation that makes or
// destroys them. Errors are in Mesos' words.
func FromVolumes(list []mesos.Resource) (Set, error) {
	var s Set
	for i := range list {
		it, err := fromProto(&list[i])
		if err != nil {
			return Set{}, fmt.Errorf("Invalid resources: %w", err) //lint:ignore ST1005 Mesos' words
		}
		if it.Volume == nil {
			return Set{}, fmt.Errorf("Not a persistent volume: Resource %s does not have DiskInfo", Of(it)) //lint:ignore ST1005 Mesos' words
		}
		if s.HasVolume(it.Role, it.Volume.ID) {
			return Set{}, fmt.Errorf("Persistence ID '%s' is not unique", it.Volume.ID) //lint:ignore ST1005 Mesos' words
		}
		s = s.add(it)
	}
	if s.Empty() {
		return s, errors.New("Invalid resources: no volumes") //lint:ignore ST1005 as the others
	}
	return s, nil
}

// FromKept is FromProto for what Kept gave.
func FromKept(list []mesos.Resource) (Set, error) {
	s, err := FromProto(list)
	if err != nil {
		return s, err
	}
	for _, it := range s.items {
		if it.Volume == nil && !it.Reserved.Dynamic() {
			return s, fmt.Errorf("resource %s %w", Of(it), ErrNotDynamic)
		}
	}
	return s, nil
}
