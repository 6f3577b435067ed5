import type { Socket } from 'node:net';

/** What a client that speaks HTTP/2 from the start sends first. RFC 9113 §3.4. No method of HTTP/1.1 begins with it. */
const PREFACE = Buffer.from('PRI * HTTP/2.0');

/**
 * Looks at the first bytes of a connection without taking them.
 * @param timeout milliseconds after which a client that has not said enough is cut off.
 */
export function startsHttp2(socket: Socket, timeout: number, decide: (starts: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const cut = (): void => void socket.destroy();
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const same = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (same && seen.length < PREFACE.length) return;
    socket.off('data', look).off('error', cut).off('timeout', cut).setTimeout(0);
    socket.pause();
    socket.unshift(seen);
    decide(same);
  };
  socket.on('data', look).on('error', cut).on('timeout', cut).setTimeout(timeout);
}
