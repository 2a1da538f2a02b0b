package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// examples are what is shipped for Prometheus.
const examples = "../../packaging/examples/prometheus"

// prometheus is Debian's, with the examples, every two seconds, on a daemon.
type prometheus struct {
	t   testing.TB
	url string
}

// startPrometheus runs it until the test ends.
func startPrometheus(t testing.TB, target, token string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"camrelay.rules.yml", "camrelay.rules.test.yml", "prometheus.yml"} {
		text, err := os.ReadFile(filepath.Join(examples, name))
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.NewReplacer("127.0.0.1:9998", target, "#authorization", "authorization",
			"#  credentials_file", "  credentials_file", "_interval: 15s", "_interval: 2s").Replace(string(text))
		if name != "prometheus.yml" {
			edited = string(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "camrelay.token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "config", filepath.Join(dir, "prometheus.yml")},
		{"test", "rules", filepath.Join(dir, "camrelay.rules.test.yml")},
	} {
		if out, errs, err := tool(t, time.Minute, "promtool", args...); err != nil {
			t.Fatalf("promtool %v: %v\n%s%s", args, err, out, errs)
		}
	}
	p := &prometheus{t: t, url: "http://127.0.0.1:" + freePort(t, "tcp")}
	log := &mediatest.Log{}
	cmd := exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", strings.TrimPrefix(p.url, "http://"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", log.Tail(4000))
		}
	})
	eventually(t, time.Minute, "Prometheus scrapes the daemon", func() error {
		if v, err := p.query(`up{job="camrelay"}`); err != nil || v != 1 {
			return fmt.Errorf("up is %v: %w", v, err)
		}
		return nil
	})
	return p
}

// get asks Prometheus' API.
func (p *prometheus) get(path string, v any) error {
	res, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(v)
}

// query returns the one value of an expression.
func (p *prometheus) query(expr string) (float64, error) {
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%d results of %s: %s", len(answer.Data.Result), expr, answer.Error)
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(text, 64)
}

// series returns how many there have ever been of the daemon.
func (p *prometheus) series() int {
	p.t.Helper()
	var answer struct{ Data []json.RawMessage }
	if err := p.get("/api/v1/series?match[]="+url.QueryEscape(`{job="camrelay",alertname=""}`), &answer); err != nil {
		p.t.Fatal(err)
	}
	return len(answer.Data)
}

// await waits until the expression has that value.
func (p *prometheus) await(expr string, want float64) {
	p.t.Helper()
	eventually(p.t, time.Minute, fmt.Sprintf("%s is %v", expr, want), func() error {
		v, err := p.query(expr)
		if err == nil && v != want {
			err = fmt.Errorf("it is %v", v)
		}
		return err
	})
}

// rulesAreWell fails if a rule cannot be evaluated.
func (p *prometheus) rulesAreWell() {
	p.t.Helper()
	type rule struct{ Name, Health, LastError string }
	eventually(p.t, time.Minute, "all rules are evaluated", func() error {
		var answer struct {
			Data struct {
				Groups []struct{ Rules []rule }
			}
		}
		if err := p.get("/api/v1/rules", &answer); err != nil {
			return err
		}
		n := 0
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if n++; r.Health != "ok" {
					return fmt.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
				}
			}
		}
		if n < 20 {
			return fmt.Errorf("%d rules", n)
		}
		return nil
	})
}

// visitor watches a camera for a moment, as somebody nobody has seen before.
func (b *box) visitor(n int) error {
	file := "gate/mpegts"
	if n%2 == 1 {
		file = "gate/hls.m3u8"
	}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.http(file), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", fmt.Sprintf("visitor/%d", n))
	req.Header.Set("Authorization", "Bearer "+ownToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.CopyN(io.Discard, res.Body, 188)
	return err
}

// TestPrometheus lets Debian's Prometheus scrape a daemon while viewers come and
// go: everything that promtool and Prometheus say is well, and no series is
// added. The long form has 1,000 viewers within five minutes.
func TestPrometheus(t *testing.T) {
	t.Parallel() // it waits most of the time
	viewers, lasts := 60, 4*time.Second
	if soaking() {
		viewers, lasts = 1000, 5*time.Minute
	}
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\ncameras:\n  gate: {url: %q}\n"+
		"  yard: {url: %q, password: planted-secret, username: u}\n"+
		"pushes:\n  up: {camera: gate, url: \"rtmp://127.0.0.1:1/live/planted-key\"}\n"+
		"users:\n  - {name: prometheus, role: viewer, token_hash: %s}\n",
		cam.url("cam1"), cam.url("cam2"), tokenHash(ownToken)))
	b.awaitActive("gate", "yard")
	p := startPrometheus(t, b.addr("metrics"), ownToken)
	p.await(`sum(camrelay_camera_warm)`, 2)
	before := p.series()

	end := time.After(lasts)
	var wg sync.WaitGroup
	turns := make(chan struct{}, 8)
	every := time.NewTicker(lasts / time.Duration(viewers))
	defer every.Stop()
	var mu sync.Mutex // guards failed
	var failed []error
	for n := range viewers {
		<-every.C
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := b.visitor(n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	wg.Wait()
	<-end
	if len(failed) > 0 {
		t.Errorf("%d viewers were not served: %v", len(failed), failed[0])
	}
	p.await(`sum(camrelay_viewer_sessions_total{protocol=~"ts|hls"})`, float64(viewers))
	p.await(`sum(camrelay_viewer_sessions_ended_total{protocol="ts"})`, float64(viewers/2))
	p.await(`sum(camrelay_push_state{push="up",state=~"active|idle|stopped"})`, 0)
	p.rulesAreWell()
	if after := p.series(); after != before {
		t.Errorf("%d series, %d before the viewers", after, before)
	}
	// A scrape that the machine was too busy for has no samples.
	spread := `max_over_time((scrape_samples_scraped > 0)[1h:1s]) - min_over_time((scrape_samples_scraped > 0)[1h:1s])`
	if v, err := p.query(spread); err != nil || v != 0 {
		t.Errorf("the number of samples has changed by %v: %v", v, err)
	}
	checkMetrics(t, b)
	n, _ := p.query(`scrape_samples_scraped`)
	took, _ := p.query(`max_over_time(scrape_duration_seconds[1h])`)
	scrapes, _ := p.query(`sum_over_time(up[1h])`)
	t.Logf("%d series, %v samples in each of %v scrapes, the slowest took %v s, %d viewers",
		before, n, scrapes, took, viewers)
}

// checkMetrics lets promtool read the metrics, and looks for secrets in them.
func checkMetrics(t *testing.T, b *box) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.addr("metrics")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ownToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"planted", ownToken, "visitor", "127.0.0.1"} {
		if strings.Contains(string(text), no) {
			t.Errorf("the metrics hold %s", no)
		}
	}
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(string(text))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
