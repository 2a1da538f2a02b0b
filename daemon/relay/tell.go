package relay

// telling is what is still to be told of a path, in the order in which it
// happened. Its path's mu guards it.
type telling struct {
	events []Event
	busy   bool // somebody tells them
}

// event notes something to tell. mu is held, and whoever lets go of it tells.
func (p *Path) event(ev Event) {
	ev.Path = p.name
	p.events = append(p.events, ev)
}

// unlock lets go of mu and tells what was noted.
func (p *Path) unlock() {
	p.mu.Unlock()
	p.tell()
}

// tell tells the observer what was noted: whoever comes first for all.
func (p *Path) tell() {
	for {
		p.mu.Lock()
		if p.busy || len(p.events) == 0 {
			p.mu.Unlock()
			return
		}
		events := p.events
		p.events, p.busy = nil, true
		p.mu.Unlock()
		for _, ev := range events {
			p.note(ev)
			p.relay.Observe(ev)
		}
		p.mu.Lock()
		p.busy = false
		p.mu.Unlock()
	}
}

// note logs what people look for.
func (p *Path) note(ev Event) {
	switch ev.Type {
	case CameraStopped:
		p.log.Info("camera stopped", "reason", ev.Reason)
	case HealthRaised:
		p.log.Warn("camera is not well", "condition", ev.Condition.Name, "reason", ev.Reason)
	case HealthCleared:
		if ev.Recovered {
			p.log.Info("camera has recovered", "condition", ev.Condition.Name)
		} else {
			p.log.Info("camera is not looked at any more", "condition", ev.Condition.Name, "reason", ev.Reason)
		}
	default:
	}
}
