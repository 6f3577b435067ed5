/** Bytes of the largest chunk that is read or written at once: measured best on local disks. */
const LARGEST = 1024 * 1024;
const SMALLEST = 128 * 1024;

/** About how many bytes all transfers of one kind may have in their chunks together. */
const BUDGET = 16 * 1024 * 1024;

/** Bytes to read or write at once while `active` transfers share the memory. */
export function chunkSize(active: number): number {
  return Math.max(SMALLEST, Math.min(LARGEST, Math.floor(BUDGET / Math.max(1, active))));
}
