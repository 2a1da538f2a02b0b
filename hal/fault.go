package hal

// Severity is how bad a fault is.
type Severity string

// The severities.
const (
	Notice Severity = "notice" // somebody may want to know
	Warn   Severity = "warn"   // something works less well, or soon will
	Grave  Severity = "grave"  // streams suffer
)

// Fault is one thing about the hardware that is not as it should be.
type Fault struct {
	Name     string   `json:"name"` // in one word for programs
	Severity Severity `json:"severity"`
	Text     string   `json:"text"` // for people
}
