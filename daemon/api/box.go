package api

import "net/http"

// BoxStatus is how the hardware is.
type BoxStatus struct {
	Model      string         `json:"model"`
	Conditions []BoxCondition `json:"conditions"` // what is wrong, the gravest first
	Celsius    *float64       `json:"celsius"`    // of the hottest sensor; null: there is none
	// ClockSynced is null where nobody can tell.
	ClockSynced *bool `json:"clock_synced"`
	ClockSteps  int   `json:"clock_steps"` // how often the clock was set since the start
	// MemoryLevel is plenty, short, scarce or empty.
	MemoryLevel string `json:"memory_level"`
	// Shed is what is done without until there is memory again, in words.
	Shed []string `json:"shed"`
}

// BoxCondition is one thing that is wrong with the hardware.
type BoxCondition struct {
	ConditionStatus

	Severity string `json:"severity"` // notice, warn, grave
}

// identify makes the box show which one it is.
func (s server) identify(w http.ResponseWriter, _ *http.Request) {
	if s.Identify == nil || !s.Identify() {
		problem(w, http.StatusNotFound, "the box has no LED for this")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
