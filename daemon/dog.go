package daemon

import (
	"errors"
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
	err  error  // why the named one is not armed or not fed
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
	k.arm()
}

// retry tries again to arm what is not, unless its driver does not answer.
func (k *kennel) retry() {
	if k.err != nil && !errors.Is(k.err, hal.ErrHung) {
		k.arm()
	}
}

func (k *kennel) arm() {
	if k.name == "" || k.dog != nil {
		return
	}
	dog, err := k.open(k.root, k.name)
	k.note(err)
	if err == nil {
		k.dog = dog
		k.log.Info("the hardware's watchdog is fed", "watchdog", k.name)
	}
}

// feed tells the hardware that all is well.
func (k *kennel) feed() {
	if k.dog != nil {
		k.note(k.dog.Feed())
	}
}

// note keeps why the watchdog is not fed, and logs it once.
func (k *kennel) note(err error) {
	if err != nil && k.err == nil {
		k.log.Error("the hardware's watchdog is not fed", "watchdog", k.name, "err", err)
	}
	k.err = err
}

// problems returns what was applied and does not work.
func (k *kennel) problems() []string {
	if k.err == nil {
		return nil
	}
	return []string{"box.watchdog: " + k.err.Error()}
}

// close disarms it. Only who stops in good order does.
func (k *kennel) close() {
	if k.dog != nil {
		if err := k.dog.Disarm(); err != nil {
			k.log.Error("the hardware's watchdog stays armed", "watchdog", k.name, "err", err)
		}
	}
	k.dog, k.name, k.err = nil, "", nil
}
