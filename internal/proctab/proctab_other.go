//go:build !linux && !darwin

package proctab

import (
	"errors"
	"syscall"
)

var errUnsupported = errors.New("embedded machines need Linux or macOS")

func lookup(int) (string, State, error) { return "", Gone, errUnsupported }

func (id ID) signal(syscall.Signal) error { return errUnsupported }

// Descendants finds nothing on this system.
func Descendants(...int) []ID { return nil }

// Children finds nothing on this system.
func Children(int) []ID { return nil }

// Zombies finds nothing on this system.
func Zombies(int) []int { return nil }

// Marked finds nothing on this system.
func Marked(string, string) []ID { return nil }
