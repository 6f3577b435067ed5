/**
 * Gives memory back at once. The garbage collector does not count how much hangs on a small object, or counts it all and
 * marks the whole heap again and again.
 */
export function free(buffer: ArrayBuffer): void {
  buffer.transferToFixedLength(0);
}

/** Smaller ones may be parts of a buffer that others use as well. */
const OWN_BUFFER = 8 * 1024;

/**
 * Gives the memory of a chunk back that nobody looks at any more. Left to the garbage collector, the chunks of a body
 * would take a third of the processor time of a push, and tens of megabytes.
 */
export function freeChunk(chunk: Uint8Array): void {
  const { buffer, length } = chunk;
  if (buffer instanceof ArrayBuffer && length > OWN_BUFFER && length === buffer.byteLength) free(buffer);
}
