package daemon

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
)

// diffBase has one of everything.
const diffBase = `version: 1
access: {view: closed, hosts: [box.example]}
rtsp: {tls: {listen: ":8322", cert_file: c, key_file: k}}
http: {tls: {listen: ":8443", cert_file: c, key_file: k}}
cameras:
  gate: {url: "rtsp://192.0.2.1/a", username: u, password: p, sub: {url: "rtsp://192.0.2.1/b"}}
pushes:
  up: {camera: gate, url: "rtmp://192.0.2.9/live/secretkey"}
keepalives:
  wall: {camera: gate}
hooks:
  events: {url: "http://127.0.0.1:7000/hook"}
users:
  - name: alice
    token_hash: "0000000000000000000000000000000000000000000000000000000000000000"
    digest_hash: "00000000000000000000000000000000:0000000000000000000000000000000000000000000000000000000000000000"
    cameras: [gate]
`

// untouching are the fields whose change alone touches nothing that runs.
var untouching = map[string]string{
	"plan.named": "it is looked into when a push is added at run time",
}

// TestDiffLeavesNothingOut changes each field that a plan has, one at a time:
// whoever adds one says what its change touches.
func TestDiffLeavesNothingOut(t *testing.T) {
	from, to := planOf(parse(t, diffBase), "1"), planOf(parse(t, diffBase), "1")
	changed := 0
	change(t, reflect.ValueOf(&to).Elem(), "plan", func(name string) {
		changed++
		if len(diff(from, to)) == 0 {
			t.Errorf("%s changes, and nothing would be touched", name)
		}
	})
	if all := diff(from, to); changed < 100 || len(all) > 0 {
		t.Errorf("%d fields were changed, in the end %q", changed, all)
	}
}

// change changes each field below v, calls try, and changes it back.
func change(t *testing.T, v reflect.Value, name string, try func(name string)) {
	t.Helper()
	if untouching[name] != "" {
		return
	}
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem() // as if it were exported
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	defer v.Set(before)
	if v.Type() == reflect.TypeFor[netip.Prefix]() {
		v.Set(reflect.ValueOf(netip.MustParsePrefix("239.1.2.0/24")))
		try(name)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			change(t, v.Field(i), name+"."+v.Type().Field(i).Name, try)
		}
		return
	case reflect.Array:
		for i := range v.Len() {
			change(t, v.Index(i), fmt.Sprintf("%s[%d]", name, i), try)
		}
		return
	case reflect.Map, reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty: diffBase is to have one", name)
			return
		}
		v.SetZero()
		try(name)
		changeElement(t, v, before, name, try)
		return
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	default:
		t.Errorf("%s is a %s: teach this test to change one", name, v.Kind())
		return
	}
	try(name)
}

// changeElement changes an element of the map or slice that v was before.
func changeElement(t *testing.T, v, before reflect.Value, name string, try func(name string)) {
	t.Helper()
	element := reflect.New(v.Type().Elem()).Elem()
	if before.Kind() == reflect.Slice {
		element.Set(before.Index(0))
		change(t, element, name+"[0]", func(name string) {
			v.Set(reflect.MakeSlice(v.Type(), before.Len(), before.Len()))
			reflect.Copy(v, before)
			v.Index(0).Set(element)
			try(name)
		})
		return
	}
	key := before.MapKeys()[0]
	element.Set(before.MapIndex(key))
	change(t, element, fmt.Sprintf("%s[%v]", name, key), func(name string) {
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range before.MapKeys() {
			v.SetMapIndex(k, before.MapIndex(k))
		}
		v.SetMapIndex(key, element)
		try(name)
	})
}
