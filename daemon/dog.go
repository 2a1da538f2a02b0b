package daemon

import (
	"log/slog"
	"time"

	"camrelay/hal"
	"camrelay/hal/watchdog"
)

// dogTimeout is after how long without a sign of life the board starts anew.
const dogTimeout = 60 * time.Second

// feeder is a hardware watchdog that is armed.
type feeder interface {
	Feed() error
	Disarm() error
}

// kennel holds the watchdog that the configuration names, if any: as a rule the
// service manager feeds the hardware's. It belongs to the goroutine of Run.
type kennel struct {
	root string // of the board
	log  *slog.Logger
	open func(root, name string) (feeder, error)

	name string // as it was applied
	dog  feeder // nil: none is armed
	sick bool   // it could not be fed
}

// openDog arms a watchdog of a board.
func openDog(root, name string) (feeder, error) {
	b, err := hal.Open(root)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	dog, err := watchdog.Open(b, name, dogTimeout)
	if err != nil {
		return nil, err
	}
	return dog, nil
}

// use arms the watchdog of that name in the place of the one before; "" is none.
func (k *kennel) use(name string) {
	if k.name == name {
		return
	}
	k.close()
	k.name = name
	if name == "" {
		return
	}
	dog, err := k.open(k.root, name)
	if err != nil {
		k.log.Error("the hardware's watchdog is not fed", "watchdog", name, "err", err)
		return
	}
	k.dog, k.sick = dog, false
	k.log.Info("the hardware's watchdog is fed", "watchdog", name)
}

// feed tells the hardware that all is well.
func (k *kennel) feed() {
	if k.dog == nil {
		return
	}
	err := k.dog.Feed()
	if err != nil && !k.sick {
		k.log.Error("the hardware's watchdog is not fed", "watchdog", k.name, "err", err)
	}
	k.sick = err != nil
}

// close disarms it. Only who stops in good order does.
func (k *kennel) close() {
	if k.dog == nil {
		return
	}
	if err := k.dog.Disarm(); err != nil {
		k.log.Error("the hardware's watchdog stays armed", "watchdog", k.name, "err", err)
	}
	k.dog, k.name = nil, ""
}
