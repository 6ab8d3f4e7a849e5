// Greets everybody in a list, a task each.
package main

import (
	"encoding/json"
	"log/slog"

	"{{name}}/bulkhead"
)

const schema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["names"],
  "properties": {
    "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Who is greeted."},
    "greeting": {"type": "string", "default": "Hello", "description": "What stands in front of each name."}
  }
}`

type config struct {
	Names    []string
	Greeting string
}

type guest struct {
	Name string `json:"name"`
}

type greet struct{}

func init() { bulkhead.Register(greet{}) }

// Never runs: the host calls what init registered.
func main() {}

func (greet) Describe() bulkhead.Description {
	return bulkhead.Description{Name: "{{name}}", Version: "0.1.0", Summary: "Greets everybody in a list", Schema: schema}
}

func (greet) Plan(step bulkhead.Step) error {
	var config config
	if err := json.Unmarshal(step.Config, &config); err != nil {
		return err
	}
	var specs []bulkhead.Spec
	for _, name := range config.Names {
		specs = append(specs, bulkhead.Spec{Key: name, Input: guest{name}})
	}
	_, err := bulkhead.Spawn(specs)
	return err
}

func (greet) Run(step bulkhead.Step, task bulkhead.Task) (any, error) {
	config := config{Greeting: "Hello"}
	if err := json.Unmarshal(step.Config, &config); err != nil {
		return nil, err
	}
	var guest guest
	if err := json.Unmarshal(task.Input, &guest); err != nil {
		return nil, err
	}
	if guest.Name == "" {
		return nil, bulkhead.Failf("nobody is there to be greeted")
	}
	slog.Info("greeting", "who", guest.Name)
	return map[string]string{"text": config.Greeting + ", " + guest.Name + "!"}, nil
}
