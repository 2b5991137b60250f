package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
)

// Credentials are what --http_credentials and --http_realm say: everybody
// has to name user and password, for every path, as in 1.1.1.
type Credentials struct{ User, Password, Realm string }

// ParseCredentials reads "user:password".
func ParseCredentials(s, realm string) (*Credentials, error) {
	user, password, ok := strings.Cut(s, ":")
	if !ok || user == "" || password == "" {
		return nil, fmt.Errorf("the HTTP credentials must be specified in the form of 'user:password'")
	}
	return &Credentials{user, password, realm}, nil
}

// Require lets through who knows the credentials; nil lets everybody.
func (c *Credentials) Require(h http.Handler) http.Handler {
	if c == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if same(user, c.User)&same(password, c.Password) != 1 {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("basic realm=%q", c.Realm))
			htmlError(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// same compares without telling by its time how much is right.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// htmlError answers as the servlet container below 1.1.1 does where no
// resource is asked: a page, not JSON.
func htmlError(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/html; charset=ISO-8859-1")
	w.Header().Set("Cache-Control", "must-revalidate,no-cache,no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<html>\n<head><title>Error %[1]d</title></head>\n<body>\n<h2>HTTP ERROR: %[1]d</h2>\n"+
		"<p>Reason:\n<pre>    %[2]s</pre></p>\n</body>\n</html>\n", status, reason)
}
