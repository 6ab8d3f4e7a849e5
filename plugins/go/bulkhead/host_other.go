//go:build !wasip1

package bulkhead

import (
	"fmt"
	"os"
	"unsafe"
)

// Where there is no host, so that editors know the package and tests of a plugin's own parts run on any machine: the log goes to
// standard error, the state of the task nowhere, and what needs a host panics.

func hostLog(level uint32, message, fields string) {
	_, _ = fmt.Fprintln(os.Stderr, [...]string{"DEBUG", "INFO", "WARN", "ERROR"}[level], message, fields)
}

func hostProgress(uint64, uint32, uint64) {}

func hostMessage(string) {}

func hostCancelled() uint32 { return 0 }

func hostSpawn(unsafe.Pointer, uint32, unsafe.Pointer) { noHost() }

func hostSave(unsafe.Pointer, uint32, unsafe.Pointer) { noHost() }

func hostLoad(unsafe.Pointer) { noHost() }

func hostWrite(string, unsafe.Pointer, uint32, unsafe.Pointer) { noHost() }

func hostFind(uint32, string, uint32, string, unsafe.Pointer) { noHost() }

func hostRead(uint32, string, uint32, string, uint64, uint32, unsafe.Pointer) { noHost() }

func hostOutputs(string, uint32, uint32, uint32, unsafe.Pointer) { noHost() }

func pauseClock(uint32) {}

func noHost() {
	panic("there is no host: build with GOOS=wasip1 GOARCH=wasm, and run it with `bulkhead plugin test`")
}
