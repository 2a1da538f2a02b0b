package daemon

import (
	"fmt"
	"log/slog"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
)

// keptCameras are the cameras that the API was told to keep. They are in the
// machine's file; the daemon takes them from there as from any other.
type keptCameras struct {
	machine *machine
	applied func() *plan
	relay   *relay.Relay
	pushes  func() []api.Push
	log     *slog.Logger
}

// Keep implements api.CameraKeeper.
func (k *keptCameras) Keep(name string, text []byte) (file string, err error) {
	if err := config.ParseCamera(name, text); err != nil {
		return "", err
	}
	if file := k.applied().cameraFiles[name]; file != "" {
		return "", fmt.Errorf("%w in %s", api.ErrCameraExists, file)
	}
	if k.relay.Path(name) != nil {
		return "", api.ErrCameraExists
	}
	err = k.machine.edit(func(f *kept) error {
		if _, ok := f.Cameras[name]; ok {
			return fmt.Errorf("%w in %s", api.ErrCameraExists, k.machine.path())
		}
		f.Cameras[name] = text
		return nil
	})
	if err == nil {
		k.log.Info("camera kept", "cam", name, "file", k.machine.path())
	}
	return k.machine.path(), err
}

// Remove implements api.CameraKeeper.
func (k *keptCameras) Remove(name, by string) error {
	if file := k.applied().cameraFiles[name]; file != "" && file != k.machine.path() {
		return &api.OwnedError{What: "camera", File: file}
	}
	for _, p := range k.pushes() { // without it their file would be refused
		if p.Camera == name && p.File != "" {
			return &api.OwnedError{What: "push " + p.Name + " of the camera", File: p.File}
		}
	}
	err := k.machine.edit(func(f *kept) error {
		if _, ok := f.Cameras[name]; !ok {
			return api.ErrNoCamera
		}
		delete(f.Cameras, name)
		return nil
	})
	if err == nil {
		k.log.Info("camera removed", "cam", name, "by", by)
	}
	return err
}
