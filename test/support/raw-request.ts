import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An answer as it came over the connection. */
export interface RawAnswer {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connection to a server, and nothing between it and the test. */
export async function openRaw(address: string): Promise<Socket> {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes as they are and reads one answer. The connection is closed afterwards. */
export async function sendRaw(address: string, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = await openRaw(address);
  try {
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return await readAnswer(socket);
  } finally {
    socket.destroy();
  }
}

/** Reads up to the end of one answer that has a Content-Length, or of the connection. @throws when there was none */
export async function readAnswer(socket: Socket): Promise<RawAnswer> {
  let text = '';
  const read = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
  };
  socket.on('data', read);
  try {
    for (;;) {
      const answer = parseAnswer(text);
      if (answer !== undefined) return answer;
      if (socket.destroyed || socket.readableEnded)
        throw new Error(`no whole answer: ${JSON.stringify(text)}`);
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    }
  } finally {
    socket.off('data', read);
  }
}

function parseAnswer(text: string): RawAnswer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = text.slice(end + 4);
  const length = Number(headers.get('content-length') ?? 0);
  return body.length < length
    ? undefined
    : { status: Number(first.split(' ')[1]), headers, body: body.slice(0, length) };
}
