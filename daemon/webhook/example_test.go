package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/webhook"
)

// Example is a receiver that takes only what who knows the secret has signed,
// not long ago.
func Example() {
	const secret = "a secret of both"
	verify := func(h http.Header, body []byte) bool {
		stamp := h.Get("Camrelay-Timestamp")
		at, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
			return false
		}
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%s.%s", stamp, body)
		want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		return hmac.Equal([]byte(h.Get("Camrelay-Signature")), []byte(want))
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !verify(r.Header, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		forged := strings.Replace(string(body), "gate", "yard", 1)
		fmt.Println("genuine:", verify(r.Header, body), "forged:", verify(r.Header, []byte(forged)))
	}))
	defer receiver.Close()

	client, err := webhook.NewClient(webhook.Spec{URL: receiver.URL, Secret: secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	reply, err := client.Post(context.Background(), "", webhook.Event{Type: "path.ready", Path: "gate"})
	fmt.Println(reply.Code, err)
	// Output:
	// genuine: true forged: false
	// 200 <nil>
}
