package flv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Property is a named value of an Object or an Array.
type Property struct {
	Name  string
	Value any
}

// Object is an AMF0 object.
type Object []Property

// Array is an AMF0 ECMA array.
type Array []Property

// Get returns the value of that name, nil if there is none.
func (o Object) Get(name string) any {
	for _, p := range o {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

// Markers of AMF0 (§2.1 of its specification).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfArray       = 0x08
	amfObjectEnd   = 0x09
	amfStrict      = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
	amfUnsupported = 0x0d
	amfXML         = 0x0f
	amfTyped       = 0x10
)

// AppendScript appends values as AMF0, the coding of script tags and RTMP
// commands, and returns the longer slice. It takes float64, bool, string, nil,
// Object, Array and []string; anything else is a mistake of the caller's and
// panics.
func AppendScript(b []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			b = append(b, amfNull)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, amfNumber), math.Float64bits(v))
		case bool:
			n := byte(0)
			if v {
				n = 1
			}
			b = append(b, amfBoolean, n)
		case string:
			b = appendString(b, v)
		case Object:
			b = appendProperties(append(b, amfObject), v)
		case Array:
			b = binary.BigEndian.AppendUint32(append(b, amfArray), uint32(len(v)))
			b = appendProperties(b, v)
		case []string:
			b = binary.BigEndian.AppendUint32(append(b, amfStrict), uint32(len(v)))
			for _, s := range v {
				b = appendString(b, s)
			}
		default:
			panic(fmt.Sprintf("flv: internal error: no AMF0 for %T", v))
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	if len(s) > math.MaxUint16 {
		b = binary.BigEndian.AppendUint32(append(b, amfLongString), uint32(len(s)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, amfString), uint16(len(s)))
	}
	return append(b, s...)
}

func appendProperties(b []byte, ps []Property) []byte {
	for _, p := range ps {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Name)))
		b = AppendScript(append(b, p.Name...), p.Value)
	}
	return append(b, 0, 0, amfObjectEnd)
}

// Bounds of what ParseScript believes.
const (
	maxDepth  = 8
	maxValues = 1024
)

// ErrScript reports AMF0 that is cut short, too deep or of an unknown type.
var ErrScript = errors.New("malformed AMF0")

// ParseScript returns the values in b: float64, bool, string, nil (also for
// undefined, references and unsupported), Object (also for ECMA arrays and
// typed objects), []any for strict arrays; dates come as float64, XML as
// string. It takes no more than 1024 values, 8 deep, and never panics.
func ParseScript(b []byte) ([]any, error) {
	p := parser{b: b}
	var vs []any
	for len(p.b) > 0 {
		v, err := p.value(0)
		if err != nil {
			return vs, err
		}
		vs = append(vs, v)
	}
	return vs, nil
}

type parser struct {
	b []byte
	n int // values so far
}

// take returns the next n bytes.
func (p *parser) take(n int) ([]byte, error) {
	if n < 0 || n > len(p.b) {
		return nil, ErrScript
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b, nil
}

// text returns a string behind its length in n bytes.
func (p *parser) text(n int) (string, error) {
	l, err := p.take(n)
	if err != nil {
		return "", err
	}
	size := 0
	for _, x := range l {
		size = size<<8 | int(x)
	}
	s, err := p.take(size)
	return string(s), err
}

func (p *parser) number() (float64, error) {
	b, err := p.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

func (p *parser) value(depth int) (any, error) {
	p.n++
	marker, err := p.take(1)
	if err != nil || depth > maxDepth || p.n > maxValues {
		return nil, ErrScript
	}
	switch marker[0] {
	case amfNull, amfUndefined, amfUnsupported:
		return nil, nil
	case amfReference:
		_, err = p.take(2)
		return nil, err
	case amfBoolean:
		b, err := p.take(1)
		return err == nil && b[0] != 0, err
	case amfNumber:
		return p.number()
	case amfDate:
		d, err := p.number()
		if err == nil {
			_, err = p.take(2) // time zone, unused
		}
		return d, err
	case amfString:
		return p.text(2)
	case amfLongString, amfXML:
		return p.text(4)
	}
	return p.compound(marker[0], depth)
}

// compound returns a value that holds others.
func (p *parser) compound(marker byte, depth int) (any, error) {
	switch marker {
	case amfObject:
		return p.properties(depth)
	case amfArray:
		if _, err := p.take(4); err != nil { // the count is a hint
			return nil, err
		}
		return p.properties(depth)
	case amfTyped:
		if _, err := p.text(2); err != nil {
			return nil, err
		}
		return p.properties(depth)
	case amfStrict:
		return p.strict(depth)
	}
	return nil, ErrScript
}

func (p *parser) strict(depth int) (any, error) {
	count, err := p.take(4)
	if err != nil {
		return nil, err
	}
	var vs []any
	for range binary.BigEndian.Uint32(count) {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	return vs, nil
}

func (p *parser) properties(depth int) (any, error) {
	o := Object{}
	for {
		if len(p.b) >= 3 && p.b[0] == 0 && p.b[1] == 0 && p.b[2] == amfObjectEnd {
			p.b = p.b[3:]
			return o, nil
		}
		name, err := p.text(2)
		if err != nil {
			return nil, err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, Property{name, v})
	}
}
