// Counts the words of a file that the run was started with, a piece a task.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"bulkhead.example/words/bulkhead"
)

// What is read at once, in bytes; a longer word is cut there.
const block = 256 << 10

const schema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "file": {"type": "string", "default": "text", "description": "The run's file whose words are counted."},
    "pieces": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 4, "description": "The tasks that share it."},
    "top": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10, "description": "The words that are listed."},
    "drill": {
      "enum": ["none", "panic", "error", "memory", "loop", "recursion", "sleep", "cancel", "retry"], "default": "none",
      "description": "What each task does wrong, to see what comes of it."
    }
  }
}`

type config struct {
	File   string
	Pieces uint64
	Top    int
	Drill  string
}

func configOf(step bulkhead.Step) (config, error) {
	config := config{File: "text", Pieces: 4, Top: 10}
	return config, json.Unmarshal(step.Config, &config)
}

type words struct{}

func init() { bulkhead.Register(words{}) }

// Never runs: the host calls what init registered.
func main() {}

func (words) Describe() bulkhead.Description {
	return bulkhead.Description{
		Name: "go", Version: "0.1.0", Summary: "Counts the words of a file, a piece a task; written in Go.", Schema: schema,
	}
}

func (words) Plan(step bulkhead.Step) error {
	config, err := configOf(step)
	if err != nil {
		return err
	}
	file, err := open(config.File)
	if err != nil {
		return err
	}
	var specs []bulkhead.Spec
	for number, span := range pieces(file.Size, config.Pieces) {
		specs = append(specs, bulkhead.Spec{Key: fmt.Sprintf("piece-%d", number+1), Input: span})
	}
	if _, err := bulkhead.Spawn(specs); err != nil {
		return err
	}
	slog.Info("planned", "pieces", len(specs), "bytes", file.Size)
	return nil
}

type checkpoint struct {
	At     uint64 `json:"at"`
	Counts counts `json:"counts"`
}

func (words) Run(step bulkhead.Step, task bulkhead.Task) (any, error) {
	config, err := configOf(step)
	if err != nil {
		return nil, err
	}
	var piece span
	if err := json.Unmarshal(task.Input, &piece); err != nil {
		return nil, err
	}
	bulkhead.Progress(0, piece.To-piece.From)
	if err := drill(config.Drill); err != nil {
		return nil, err
	}
	file, err := open(config.File)
	if err != nil {
		return nil, err
	}
	state := checkpoint{Counts: counts{}}
	switch found, err := bulkhead.LoadCheckpoint(&state); {
	case err != nil:
		return nil, err
	case found:
		slog.Info("going on from a checkpoint", "at", state.At)
	case piece.From > 0:
		before, err := file.ReadAt(piece.From-1, block)
		if err != nil {
			return nil, err
		}
		state.At = piece.From - 1 + uint64(firstWord(before))
	}
	for state.At < piece.To {
		if bulkhead.Cancelled() {
			return nil, bulkhead.Failf("cancelled at byte %d", state.At)
		}
		data, err := file.ReadAt(state.At, block)
		if err != nil {
			return nil, err
		}
		whole := wholeWords(data, piece.To-state.At, state.At+uint64(len(data)) == file.Size)
		if whole == 0 {
			slog.Warn("a word is longer than a block", "at", state.At, "block", block)
			whole = len(data)
		}
		state.Counts.add(data[:whole])
		state.At += uint64(whole)
		bulkhead.Progress(min(state.At, piece.To)-piece.From, piece.To-piece.From)
		if err := bulkhead.SaveCheckpoint(state); err != nil {
			return nil, err
		}
		slog.Debug("block counted", "at", state.At, "words", state.Counts.total())
		if config.Drill == "retry" && step.Attempt == 1 {
			return nil, &bulkhead.Failure{Message: "the drill: the first attempt fails", Retryable: true}
		}
	}
	if replaced := state.Counts.replaced(); replaced > 0 {
		slog.Warn("not all of it is UTF-8", "replaced", replaced)
	}
	total := state.Counts.total()
	slog.Info("counted", "words", total, "distinct", len(state.Counts))
	return map[string]any{
		"bytes": piece.To - piece.From, "words": total, "distinct": len(state.Counts), "top": state.Counts.top(config.Top),
	}, nil
}

func open(name string) (*bulkhead.File, error) {
	file, err := bulkhead.OpenFile(name)
	var refused *bulkhead.HostError
	if errors.As(err, &refused) && refused.Kind == "not-found" {
		return nil, bulkhead.Failf("the run has no file `%s`: start it with --file %s=PATH", name, name)
	}
	return file, err
}
