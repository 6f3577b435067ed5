import { Writable } from 'node:stream';

/** How often a terminal is told; milliseconds. */
const STATUS_EVERY = 250;

const CLEAR = '\r\u001B[K';

export interface StatusLine extends Disposable {
  /** Before something else is written. */
  clear(): void;
  /** The end of it. */
  [Symbol.dispose](): void;
}

/**
 * A line at the bottom of a terminal that is written anew all the time.
 * @param streams the first is written to; nothing is unless all are terminals
 */
export function showStatus(
  streams: readonly [NodeJS.WritableStream, ...NodeJS.WritableStream[]],
  line: () => string,
): StatusLine {
  if (!streams.every(isTerminal)) return { clear: () => undefined, [Symbol.dispose]: () => undefined };
  const [stream] = streams;
  const clear = (): void => void stream.write(CLEAR);
  const timer = setInterval(() => stream.write(`${CLEAR}${line()}`), STATUS_EVERY);
  return {
    clear,
    [Symbol.dispose]() {
      clearInterval(timer);
      clear();
    },
  };
}

/** What is written to a terminal above its status line, such as a log. */
export function aboveStatus(stream: NodeJS.WritableStream): NodeJS.WritableStream {
  if (!isTerminal(stream)) return stream;
  return new Writable({
    write(chunk: Buffer, _encoding, written) {
      stream.write(`${CLEAR}${chunk.toString()}`);
      written();
    },
  });
}

export function isTerminal(stream: NodeJS.WritableStream): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
