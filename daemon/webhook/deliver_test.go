package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tripper is a hook without sockets, for virtual time.
type tripper func(r *http.Request, body []byte) (code int, answer string, err error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	code, text, err := f(r, body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}}, nil
}

// virtual returns a client of a hook without sockets.
func virtual(t *testing.T, hook tripper) *Client {
	t.Helper()
	c, err := NewClient(Spec{URL: "virtual://hook.test/base"})
	if err != nil {
		t.Fatal(err)
	}
	c.http.RegisterProtocol("virtual", hook)
	return c
}

// run runs f until stop is called, which returns its error.
func run(f func(ctx context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// pass lets virtual time pass, and all that is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func deliverer(c *Client, l *Log, types string) *Deliverer {
	return NewDeliverer(c, l.Queue(c, types), quiet)
}

// inbox is a hook that takes events when it is up.
type inbox struct {
	mu    sync.Mutex // guards what follows
	down  bool
	types []string
	tries []time.Time
}

func (b *inbox) take(_ *http.Request, body []byte) (int, string, error) {
	var e Event
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&e); err != nil {
		return 0, "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries = append(b.tries, time.Now())
	if b.down {
		return 0, "", errors.New("connection refused")
	}
	b.types = append(b.types, e.Type)
	return 204, "", nil
}

func (b *inbox) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func TestDeliveryInOrderThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		c, l := virtual(t, in.take), NewLog()
		fill(l, 1, 2) // from before
		stop := run(deliverer(c, l, "e1* e20").Run)
		synctest.Wait()
		fill(l, 9, 5) // e9 is not wanted
		synctest.Wait()
		in.set(true)
		fill(l, 14, 7)
		pass(10 * time.Minute)
		tries := slices.Clone(in.tries[4:])
		if st := c.Status(); st.DegradedSince == nil || time.Since(*st.DegradedSince) != 10*time.Minute ||
			st.Delivered != 4 || st.Failed != uint64(len(tries)) || !strings.Contains(st.LastError, "refused") {
			t.Errorf("status in the outage %+v", st)
		}
		for i := 2; i < len(tries); i++ {
			least := min(firstRetry<<(i-1), lastRetry) / 2
			if d := tries[i].Sub(tries[i-1]); d < least || d > 3*least {
				t.Errorf("pause %d is %v, want %v to %v", i, d, least, 3*least)
			}
		}
		in.set(false)
		pass(2 * lastRetry)
		want := "e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 e20"
		if got := strings.Join(in.types, " "); got != want {
			t.Errorf("delivered %s, want %s", got, want)
		}
		if st := c.Status(); st.DegradedSince != nil || st.Delivered != 11 || st.Dropped != 0 || st.LastError == "" {
			t.Errorf("status after it %+v", st)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returns %v", err)
		}
	})
}

func TestOldestEventsAreDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := inbox{down: true}
		c, l := virtual(t, in.take), NewLog()
		stop := run(deliverer(c, l, "").Run)
		synctest.Wait()
		const n = 3 * held
		fill(l, 1, n)
		pass(10 * time.Minute)
		in.set(false)
		pass(2 * lastRetry)
		if len(in.types) != held || in.types[0] != fmt.Sprintf("e%d", n-held+1) || in.types[held-1] != fmt.Sprintf("e%d", n) {
			t.Errorf("%d delivered, the first %v", len(in.types), in.types[:1])
		}
		if st := c.Status(); st.Dropped != n-held || st.Delivered != held {
			t.Errorf("status %+v, want %d dropped", st, n-held)
		}
		stop() // it is context.Canceled
	})
}

func TestStopDeliversWhatIsLeftForAMoment(t *testing.T) {
	rows := []struct {
		name      string
		hang      bool
		delivered int
		dropped   uint64
	}{
		{"a hook that works gets all", false, 5, 0},
		{"a hook that hangs holds nobody up", true, 0, 5},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var in inbox
				stopping := false
				c := virtual(t, func(r *http.Request, body []byte) (int, string, error) {
					if !stopping || row.hang {
						<-r.Context().Done()
						return 0, "", r.Context().Err()
					}
					return in.take(r, body)
				})
				l := NewLog()
				d := deliverer(c, l, "")
				stop := run(d.Run)
				synctest.Wait()
				fill(l, 1, 5)
				synctest.Wait() // the first is under way
				stopping = true
				began := time.Now()
				if err := stop(); !errors.Is(err, context.Canceled) || time.Since(began) > 0 || len(in.types) > 0 {
					t.Errorf("Run returns %v after %v, delivered %v", err, time.Since(began), in.types)
				}
				d.Flush(t.Context())
				if took := time.Since(began); took > flushTime {
					t.Errorf("it took %v", took)
				}
				if st := c.Status(); len(in.types) != row.delivered || st.Dropped != row.dropped {
					t.Errorf("delivered %v, status %+v", in.types, st)
				}
			})
		})
	}
}

// TestLongAnswerToAnEvent: who says 200 and then much more has taken it.
func TestLongAnswerToAnEvent(t *testing.T) {
	for code, want := range map[int]bool{200: true, 500: false} {
		srv := httptest.NewServer(http.HandlerFunc(answer(code, strings.Repeat("x", 2*maxAnswer))))
		t.Cleanup(srv.Close)
		d := deliverer(newClient(t, Spec{URL: srv.URL}), NewLog(), "")
		if err := d.post(t.Context(), Event{}); (err == nil) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestOneRefusedEventHoldsUpNoOthers: a hook may not like an event, whatever
// else it takes.
func TestOneRefusedEventHoldsUpNoOthers(t *testing.T) {
	for _, code := range []int{400, 413, 422} {
		synctest.Test(t, func(t *testing.T) {
			var in inbox
			asked := 0
			c := virtual(t, func(r *http.Request, body []byte) (int, string, error) {
				if strings.Contains(string(body), `"e2"`) {
					asked++
					return code, "", nil
				}
				return in.take(r, body)
			})
			l := NewLog()
			stop := run(deliverer(c, l, "").Run)
			synctest.Wait()
			fill(l, 1, 4)
			pass(5 * time.Minute)
			if got := strings.Join(in.types, " "); got != "e1 e3 e4" || asked != maxTries {
				t.Errorf("%d: delivered %s, e2 was tried %d times", code, got, asked)
			}
			if st := c.Status(); st.Dropped != 1 || st.DegradedSince != nil {
				t.Errorf("%d: status %+v", code, st)
			}
			stop() // it is context.Canceled
		})
	}
}
