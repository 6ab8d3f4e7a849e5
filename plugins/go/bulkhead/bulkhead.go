// Package bulkhead makes plugins for Bulkhead in Go.
//
//	type greet struct{}
//
//	func (greet) Describe() bulkhead.Description { … }
//	func (greet) Plan(step bulkhead.Step) error { … bulkhead.Spawn(…) … }
//	func (greet) Run(step bulkhead.Step, task bulkhead.Task) (any, error) { … }
//
//	func init() { bulkhead.Register(greet{}) }
//	func main() {}
//
// Build it with `GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared`. What log/slog writes is the plugin's log. An error that is
// returned is the task's failure; a panic ends it with the cause `panic`, its message and its place.
package bulkhead

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Description is what a plugin says of itself.
type Description struct {
	// Name is what definitions call it: lower-case letters, digits, `-` and `_`.
	Name string
	// Version is the plugin's own, as MAJOR.MINOR.PATCH.
	Version string
	// Summary is one sentence.
	Summary string
	// Schema is the JSON Schema of a step's configuration.
	Schema string
}

// Step is the step that a call works for.
type Step struct {
	Run, Name string
	// Attempt counts the tries at this task, from 1.
	Attempt uint32
	// Config is valid against the plugin's schema.
	Config json.RawMessage
	// Parameters are the run's: an object.
	Parameters json.RawMessage
}

// Task is one task, as Run is to do it.
type Task struct {
	ID, Key string
	Input   json.RawMessage
}

// Plugin is what Register takes.
type Plugin interface {
	Describe() Description
	// Plan expands a step into its tasks by spawning them.
	Plan(step Step) error
	// Run does one task. Its result becomes JSON.
	Run(step Step, task Task) (any, error)
}

var plugin Plugin

// Register says what the host is to call. Call it in an init function: a plugin's main never runs.
func Register(p Plugin) { plugin = p }

// Failure is an error that says whether another attempt may succeed. Any other error is final.
type Failure struct {
	Message   string
	Retryable bool
}

func (f *Failure) Error() string { return f.Message }

// Failf makes a final failure.
func Failf(format string, args ...any) error { return &Failure{Message: fmt.Sprintf(format, args...)} }

// HostError tells why the host refused a call.
type HostError struct {
	Call string
	// Kind is the error's name in the contract, as `not-found`.
	Kind string
	// Detail is what the host says, or a limit.
	Detail string
}

func (e *HostError) Error() string {
	if e.Detail == "" {
		return e.Call + ": " + e.Kind
	}
	return e.Call + ": " + e.Kind + ": " + e.Detail
}

func retryable(err error) bool {
	var failure *Failure
	var host *HostError
	return errors.As(err, &failure) && failure.Retryable || errors.As(err, &host) && host.Kind == "unavailable"
}

func encode(value any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	output, err := json.Marshal(value)
	return string(output), err
}

// Spec is a task to create, with a key that is unique in its step.
type Spec struct {
	Key   string
	Input any
}

// Tasks that one call of the host may create, and the bytes that it may carry of a file.
const (
	spawnAtOnce = 10_000
	piece       = 1 << 20
	// The most that a call returns at once: a checkpoint.
	largest = 4<<20 + 64
)

// Spawn creates tasks in this step; a key that exists already creates nothing. It says how many are new; they are durable then.
func Spawn(specs []Spec) (created int, err error) {
	for len(specs) > 0 {
		some := specs[:min(len(specs), spawnAtOnce)]
		specs = specs[len(some):]
		texts := make([]string, 0, 2*len(some))
		for _, spec := range some {
			if !utf8.ValidString(spec.Key) {
				return created, fmt.Errorf("the key of task %q is not UTF-8", spec.Key)
			}
			input, err := json.Marshal(spec.Input)
			if err != nil {
				return created, fmt.Errorf("the input of task %q: %w", spec.Key, err)
			}
			texts = append(texts, spec.Key, string(input))
		}
		list := make([]uint32, 0, 2*len(texts))
		for _, text := range texts {
			list = append(list, uint32(uintptr(unsafe.Pointer(unsafe.StringData(text)))), uint32(len(text)))
		}
		reply := ask(0, func(ret unsafe.Pointer) { hostSpawn(unsafe.Pointer(unsafe.SliceData(list)), uint32(len(some)), ret) })
		keep(texts)
		if reply.byteAt(0) != 0 {
			return created, reply.refusal("spawn", 4, []kind{{"quota", number32}, {"invalid", words}, {"cancelled", nothing}, {"unavailable", words}})
		}
		created += int(reply.u32(4))
		reply.done()
	}
	return created, nil
}

// Progress says how far the task is. A total of 0 means that it is not known.
func Progress(done, total uint64) {
	hasTotal := uint32(0)
	if total > 0 {
		hasTotal = 1
	}
	hostProgress(done, hasTotal, total)
}

// Message says in a few words what the task is doing now.
func Message(text string) { hostMessage(strings.ToValidUTF8(text, "\uFFFD")) }

// Cancelled says whether the task is to end.
func Cancelled() bool { return hostCancelled() != 0 }

var checkpointErrors = []kind{{"too-large", number64}, {"cancelled", nothing}, {"unavailable", words}}

// SaveCheckpoint keeps a value as JSON for the task's next attempt. It is durable then.
func SaveCheckpoint(value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	reply := ask(0, func(ret unsafe.Pointer) { hostSave(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), ret) })
	if reply.byteAt(0) != 0 {
		return reply.refusal("checkpoint", 8, checkpointErrors)
	}
	return nil
}

// LoadCheckpoint reads what was kept last, by this attempt or an earlier one; found is false if nothing was.
func LoadCheckpoint(value any) (found bool, err error) {
	reply := ask(largest, func(ret unsafe.Pointer) { hostLoad(ret) })
	switch {
	case reply.byteAt(0) != 0:
		return false, reply.refusal("checkpoint", 8, checkpointErrors)
	case reply.byteAt(8) == 0:
		return false, nil
	}
	data := reply.bytes(12)
	reply.done()
	return true, json.Unmarshal(data, value)
}

var artifactErrors = []kind{
	{"not-found", words}, {"not-a-dependency", words}, {"invalid", words}, {"too-large", number64}, {"cancelled", nothing},
	{"unavailable", words},
}

// File is a file that the run was started with, or an artifact of an earlier step.
type File struct {
	Name string
	// Size is its size in bytes.
	Size   uint64
	source uint32
	step   string
}

// OpenFile finds a file that the run was started with.
func OpenFile(name string) (*File, error) { return find(&File{Name: name}) }

// OpenArtifact finds an artifact of a step that this one depends on.
func OpenArtifact(step, name string) (*File, error) {
	return find(&File{Name: name, source: 1, step: step})
}

func find(file *File) (*File, error) {
	reply := ask(0, func(ret unsafe.Pointer) { hostFind(file.source, file.step, 0, file.Name, ret) })
	if reply.byteAt(0) != 0 {
		return nil, reply.refusal("artifacts", 8, artifactErrors)
	}
	file.Size = reply.u64(24)
	reply.done()
	return file, nil
}

// ReadAt reads so many bytes from an offset on; fewer only at the end.
func (f *File) ReadAt(offset uint64, size int) ([]byte, error) {
	data := make([]byte, 0, size)
	for len(data) < size {
		most := uint32(min(size-len(data), piece))
		reply := ask(int(most)+64, func(ret unsafe.Pointer) {
			hostRead(f.source, f.step, 0, f.Name, offset+uint64(len(data)), most, ret)
		})
		if reply.byteAt(0) != 0 {
			return nil, reply.refusal("artifacts", 8, artifactErrors)
		}
		got := reply.u32(12)
		if got == 0 {
			break
		}
		data = append(data, unsafe.Slice((*byte)(address(reply.u32(8))), got)...)
		reply.done()
	}
	return data, nil
}

// WriteArtifact appends to an artifact of this task. It is published when the task succeeds.
func WriteArtifact(name string, data []byte) error {
	for len(data) > 0 {
		some := data[:min(len(data), piece)]
		data = data[len(some):]
		reply := ask(0, func(ret unsafe.Pointer) {
			hostWrite(name, unsafe.Pointer(unsafe.SliceData(some)), uint32(len(some)), ret)
		})
		if reply.byteAt(0) != 0 {
			return reply.refusal("artifacts", 8, artifactErrors)
		}
	}
	return nil
}

// StepOutputs calls back with key and output of each task of an earlier step that succeeded.
func StepOutputs(step string, each func(key string, output json.RawMessage) error) error {
	hasAfter, after := uint32(0), uint32(0)
	for {
		reply := ask(largest, func(ret unsafe.Pointer) { hostOutputs(step, hasAfter, after, 1_000, ret) })
		if reply.byteAt(0) != 0 {
			return reply.refusal("outputs", 4, []kind{
				{"not-found", words}, {"not-a-dependency", words}, {"cancelled", nothing}, {"unavailable", words},
			})
		}
		count := reply.u32(8)
		if count == 0 {
			return nil
		}
		entries := unsafe.Slice((*[8]uint32)(address(reply.u32(4))), count)
		type entry struct{ key, output string }
		var page []entry
		for i := range entries {
			at := reply.u32(4) + uint32(i)*32
			hasAfter, after = 1, entries[i][0]
			if entries[i][3]&0xff == 0 {
				page = append(page, entry{textAt(at + 4), textAt(at + 16)})
			}
		}
		reply.done()
		for _, entry := range page {
			if err := each(entry.key, json.RawMessage(entry.output)); err != nil {
				return err
			}
		}
	}
}

// How an error's case is called and what it carries.
type kind struct {
	name  string
	holds int
}

const (
	nothing = iota
	words
	number32
	number64
)

// The error of an answer whose case is at an offset.
func (a *answer) refusal(call string, offset uintptr, kinds []kind) error {
	found := kinds[a.byteAt(offset)]
	payload := offset + 4
	if offset == 8 {
		payload = offset + 8
	}
	refused := &HostError{Call: call, Kind: found.name}
	switch found.holds {
	case words:
		refused.Detail = string(a.bytes(payload))
	case number32:
		refused.Detail = fmt.Sprint(a.u32(payload))
	case number64:
		refused.Detail = fmt.Sprint(a.u64(payload))
	}
	a.done()
	return refused
}

var kept []string

// Keeps texts alive whose addresses the host was given.
func keep(texts []string) { kept = texts }
