package dash

import (
	"encoding/xml"
	"strconv"
	"time"
)

// The elements and attributes that we write have the names of ISO/IEC 23009-1
// §5; those of the struct fields follow.

type mpd struct {
	XMLName   xml.Name `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
	Profiles  string   `xml:"profiles,attr"`
	Type      string   `xml:"type,attr"`
	Start     string   `xml:"availabilityStartTime,attr"`
	Published string   `xml:"publishTime,attr"`
	Update    seconds  `xml:"minimumUpdatePeriod,attr"`
	Depth     seconds  `xml:"timeShiftBufferDepth,attr"`
	Delay     seconds  `xml:"suggestedPresentationDelay,attr"`
	Longest   seconds  `xml:"maxSegmentDuration,attr"`
	Buffer    seconds  `xml:"minBufferTime,attr"`

	Location string `xml:"Location,omitempty"`
	Service  service
	Periods  []period   `xml:"Period"`
	UTC      descriptor `xml:"UTCTiming"`
}

type service struct {
	XMLName xml.Name `xml:"ServiceDescription"`
	ID      int      `xml:"id,attr"`
	Latency latency
	Rate    rate `xml:"PlaybackRate"`
}

// latency is in milliseconds.
type latency struct {
	Target int64 `xml:"target,attr"`
	Min    int64 `xml:"min,attr"`
	Max    int64 `xml:"max,attr"`
}

type rate struct {
	Max string `xml:"max,attr"`
	Min string `xml:"min,attr"`
}

type period struct {
	ID    string  `xml:"id,attr"`
	Start seconds `xml:"start,attr"`
	Sets  []set   `xml:"AdaptationSet"`
}

type set struct {
	ID              int              `xml:"id,attr"`
	ContentType     string           `xml:"contentType,attr"`
	Aligned         bool             `xml:"segmentAlignment,attr"`
	SAP             int              `xml:"startWithSAP,attr,omitempty"`
	Representations []representation `xml:"Representation"`
}

type representation struct {
	ID        string `xml:"id,attr"`
	MIME      string `xml:"mimeType,attr"`
	Codecs    string `xml:"codecs,attr"`
	Bandwidth int    `xml:"bandwidth,attr"`
	Width     int    `xml:"width,attr,omitempty"`
	Height    int    `xml:"height,attr,omitempty"`
	FrameRate string `xml:"frameRate,attr,omitempty"`
	Sampling  int    `xml:"audioSamplingRate,attr,omitempty"`

	Channels *descriptor `xml:"AudioChannelConfiguration,omitempty"`
	Base     string      `xml:"BaseURL,omitempty"`
	Template template    `xml:"SegmentTemplate"`
}

type descriptor struct {
	Scheme string `xml:"schemeIdUri,attr"`
	Value  string `xml:"value,attr"`
}

type template struct {
	Timescale int     `xml:"timescale,attr"`
	Offset    int64   `xml:"presentationTimeOffset,attr"`
	Ahead     string  `xml:"availabilityTimeOffset,attr,omitempty"`
	Complete  string  `xml:"availabilityTimeComplete,attr,omitempty"`
	Init      string  `xml:"initialization,attr"`
	Media     string  `xml:"media,attr"`
	Entries   []entry `xml:"SegmentTimeline>S"`
}

// entry is in ticks of the template's time scale.
type entry struct {
	Time     int64 `xml:"t,attr"`
	Duration int64 `xml:"d,attr"`
}

// seconds is written as xs:duration.
type seconds time.Duration

func (d seconds) MarshalText() ([]byte, error) {
	b := append([]byte("PT"), strconv.FormatFloat(time.Duration(d).Seconds(), 'f', -1, 64)...)
	return append(b, 'S'), nil
}

// date is the form of xs:dateTime.
const date = "2006-01-02T15:04:05.000Z"
