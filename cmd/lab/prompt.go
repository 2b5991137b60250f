package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// prompter returns a function that shows a text and waits for a line. What is
// typed while nobody asks waits for the next question.
func (a *app) prompter() func(ctx context.Context, text string) (string, error) {
	var lines chan string
	return func(ctx context.Context, text string) (string, error) {
		if lines == nil {
			lines = make(chan string)
			go func() {
				defer close(lines)
				in := bufio.NewScanner(a.in)
				for in.Scan() {
					lines <- in.Text()
				}
			}()
		}
		fmt.Fprint(a.err, text+" ")
		select {
		case <-ctx.Done():
			fmt.Fprintln(a.err)
			return "", context.Cause(ctx)
		case line, ok := <-lines:
			if !ok {
				fmt.Fprintln(a.err)
				return "", errors.New("the input has ended while somebody was asked")
			}
			return strings.TrimSpace(line), nil
		}
	}
}
