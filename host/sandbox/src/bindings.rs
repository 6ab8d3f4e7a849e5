//! The contract as wasmtime sees it, generated from `wit/0.1.0`.

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "bulkhead:plugin/plugin",
    imports: {
        "bulkhead:plugin/log@0.1.0.write": async | trappable,
        "bulkhead:plugin/tasks@0.1.0.spawn": async | trappable,
        "bulkhead:plugin/checkpoint@0.1.0.save": async | trappable,
        "bulkhead:plugin/checkpoint@0.1.0.load": async | trappable,
        "bulkhead:plugin/artifacts@0.1.0": async | trappable,
        "bulkhead:plugin/outputs@0.1.0": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
