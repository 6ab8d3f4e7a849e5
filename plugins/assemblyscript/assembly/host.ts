/**
 * The functions that the host has for a plugin, as wit/0.1.0/abi.md lays them out.
 *
 * The decorators of their names are not of TypeScript: its checkers leave this file out.
 */

@external("bulkhead:plugin/log@0.1.0", "write")
export declare function hostLog(level: u32, message: usize, len: usize, fields: usize, fieldsLen: usize): void;
@external("bulkhead:plugin/status@0.1.0", "progress")
export declare function hostProgress(done: u64, hasTotal: u32, total: u64): void;
@external("bulkhead:plugin/status@0.1.0", "cancelled")
export declare function hostCancelled(): u32;
@external("bulkhead:plugin/tasks@0.1.0", "spawn")
export declare function hostSpawn(specs: usize, count: usize, ret: usize): void;
@external("bulkhead:plugin/checkpoint@0.1.0", "save")
export declare function hostSave(data: usize, len: usize, ret: usize): void;
@external("bulkhead:plugin/checkpoint@0.1.0", "load")
export declare function hostLoad(ret: usize): void;
@external("bulkhead:plugin/artifacts@0.1.0", "find")
export declare function hostFind(source: u32, step: usize, stepLen: usize, task: u32, name: usize, len: usize, ret: usize): void;
@external("bulkhead:plugin/artifacts@0.1.0", "read")
export declare function hostRead(
  source: u32, step: usize, stepLen: usize, task: u32, name: usize, len: usize, offset: u64, most: u32, ret: usize,
): void;
@external("wasi_snapshot_preview1", "fd_write")
export declare function fdWrite(fd: u32, parts: usize, count: usize, written: usize): u32;
@external("wasi_snapshot_preview1", "poll_oneoff")
export declare function pollOneoff(subscriptions: usize, events: usize, count: usize, got: usize): u32;
