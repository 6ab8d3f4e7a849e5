package bulkhead

import "unsafe"

// The host's functions, as wit/0.1.0/abi.md lays them out.

//go:wasmimport bulkhead:plugin/log@0.1.0 write
func hostLog(level uint32, message, fields string)

//go:wasmimport bulkhead:plugin/status@0.1.0 progress
func hostProgress(done uint64, hasTotal uint32, total uint64)

//go:wasmimport bulkhead:plugin/status@0.1.0 message
func hostMessage(text string)

//go:wasmimport bulkhead:plugin/status@0.1.0 cancelled
func hostCancelled() uint32

//go:wasmimport bulkhead:plugin/tasks@0.1.0 spawn
func hostSpawn(specs unsafe.Pointer, count uint32, ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/checkpoint@0.1.0 save
func hostSave(data unsafe.Pointer, size uint32, ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/checkpoint@0.1.0 load
func hostLoad(ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/artifacts@0.1.0 write
func hostWrite(name string, data unsafe.Pointer, size uint32, ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/artifacts@0.1.0 find
func hostFind(source uint32, step string, task uint32, name string, ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/artifacts@0.1.0 read
func hostRead(source uint32, step string, task uint32, name string, offset uint64, most uint32, ret unsafe.Pointer)

//go:wasmimport bulkhead:plugin/outputs@0.1.0 read
func hostOutputs(step string, hasAfter, after, most uint32, ret unsafe.Pointer)

// The clock of the adapter that stands between Go and the host. Allocating may start a garbage collection, which looks at the
// clock, and no import may be called while the host waits for memory; a paused clock answers by itself. It ends no collection,
// which looks at another clock: so what the host returns goes to memory that was reserved before the call.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused uint32)
