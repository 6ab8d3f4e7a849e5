package bulkhead

import (
	"runtime"
	"strings"
	"unsafe"
)

// What the host hands over: the first bytes of it before Go's runtime is there, what a call returns in what was reserved for it,
// and the arguments of a call of the plugin, however large, in memory of their own.
var (
	early        [256 << 10]byte
	earlyUsed    uintptr
	reserved     []byte
	reservedUsed uintptr
	received     [][]byte
)

// A place of so many bytes in a buffer of which some are used; nil if there is no room.
func place(buffer []byte, used *uintptr, align, size uintptr) unsafe.Pointer {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(buffer)))
	start := (base+*used+align-1)&^(align-1) - base
	if start+size > uintptr(len(buffer)) {
		return nil
	}
	*used = start + size
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(buffer)), start)
}

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if found := place(early[:], &earlyUsed, uintptr(align), uintptr(size)); found != nil {
		return found
	}
	if found := place(reserved, &reservedUsed, uintptr(align), uintptr(size)); found != nil {
		return found
	}
	pauseClock(1)
	piece := make([]byte, size+align)
	received = append(received, piece)
	pauseClock(0)
	used := uintptr(0)
	return place(piece, &used, uintptr(align), uintptr(size))
}

// What one call of the host returned, of up to 40 bytes.
type answer struct {
	area [5]uint64
	// Where the early memory was used up to before the call.
	mark uintptr
}

// Calls the host, which may return so many bytes and some that are not worth counting.
func ask(room int, call func(ret unsafe.Pointer)) *answer {
	if len(reserved) < room {
		reserved = make([]byte, room)
	}
	reply := &answer{mark: earlyUsed}
	call(unsafe.Pointer(&reply.area))
	return reply
}

// Lets go of what the host handed over with it. Whatever is kept was copied.
func (a *answer) done() {
	earlyUsed, reservedUsed = a.mark, 0
}

func (a *answer) byteAt(offset uintptr) byte {
	return *(*byte)(unsafe.Add(unsafe.Pointer(&a.area), offset))
}

func (a *answer) u32(offset uintptr) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(&a.area), offset))
}

func (a *answer) u64(offset uintptr) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(&a.area), offset))
}

// A copy of the bytes that a pointer and a length at an offset mean.
func (a *answer) bytes(offset uintptr) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(address(a.u32(offset))), a.u32(offset+4))...)
}

func address(at uint32) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&struct{ at uintptr }{uintptr(at)}))
}

func textAt(at uint32) string {
	fields := unsafe.Slice((*uint32)(address(at)), 2)
	return string(unsafe.Slice((*byte)(address(fields[0])), fields[1]))
}

func text(at, size uint32) string {
	if size == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(address(at)), size))
}

// What an export returned stays until the host has read it; a reference to it must, too.
var returned struct {
	area  [4]uint64
	texts [4]string
}

func put(offset uintptr, number int, value string) {
	returned.texts[number] = value
	area := (*[8]uint32)(unsafe.Pointer(&returned.area))
	area[offset/4] = uint32(uintptr(unsafe.Pointer(unsafe.StringData(value))))
	area[offset/4+1] = uint32(len(value))
}

func result(output string, err error) unsafe.Pointer {
	area := (*[32]byte)(unsafe.Pointer(&returned.area))
	clear(area[:])
	if err == nil {
		put(4, 0, output)
	} else {
		area[0] = 1
		put(4, 0, strings.ToValidUTF8(err.Error(), "\uFFFD"))
		if retryable(err) {
			area[12] = 1
		}
	}
	runtime.KeepAlive(output)
	return unsafe.Pointer(&returned.area)
}

//go:wasmexport describe
func describe() unsafe.Pointer {
	description := plugin.Describe()
	put(0, 0, description.Name)
	put(8, 1, description.Version)
	put(16, 2, description.Summary)
	put(24, 3, description.Schema)
	return unsafe.Pointer(&returned.area)
}

//go:wasmexport plan
func plan(run, runLen, step, stepLen, attempt, config, configLen, parameters, parametersLen uint32) unsafe.Pointer {
	context := Step{
		Run: text(run, runLen), Name: text(step, stepLen), Attempt: attempt,
		Config: []byte(text(config, configLen)), Parameters: []byte(text(parameters, parametersLen)),
	}
	return result("", plugin.Plan(context))
}

//go:wasmexport run
func run(run, runLen, step, stepLen, attempt, config, configLen, parameters, parametersLen,
	id, idLen, key, keyLen, input, inputLen uint32) unsafe.Pointer {
	context := Step{
		Run: text(run, runLen), Name: text(step, stepLen), Attempt: attempt,
		Config: []byte(text(config, configLen)), Parameters: []byte(text(parameters, parametersLen)),
	}
	task := Task{ID: text(id, idLen), Key: text(key, keyLen), Input: []byte(text(input, inputLen))}
	return result(encode(plugin.Run(context, task)))
}
