import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { request } from 'undici';

/** A request, and what the answer must be. Headers and JSON that are not named may be anything. */
export interface Call {
  /**
   * As in `PUT {location}?digest=…`: `{location}` is the Location of the last answer that had one. Paths begin with a
   * slash.
   */
  readonly send: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sends the body in pieces, without a length. */
  readonly chunked?: true;
  readonly status: number;
  /** `null`: must not be there. */
  readonly answer?: Readonly<Record<string, string | RegExp | null>>;
  /** Code of the first error. */
  readonly code?: string;
  /** Parts that the JSON must have. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** The exact body. */
  readonly text?: string;
}

/** Sends the calls one after the other and compares each answer. */
export async function converse(url: string, calls: readonly Call[]): Promise<void> {
  let location = '';
  for (const call of calls) {
    const [method = '', target = ''] = call.send.split(' ');
    const path = target.replace('{location}', location);
    const answer = await request(path.startsWith('http') ? path : `${url}${path}`, {
      method: method as 'GET', // undici lists the common methods alone
      headers: { ...call.headers },
      body: call.chunked ? Readable.from(pieces(call.body ?? '')) : (call.body ?? null),
    });
    const text = await answer.body.text();
    const shown = `${call.send} -> ${answer.statusCode} ${JSON.stringify(answer.headers)} ${text.slice(0, 500)}`;
    assert.equal(answer.statusCode, call.status, shown);
    assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0', shown);
    for (const [name, expected] of Object.entries(call.answer ?? {})) {
      const value = answer.headers[name];
      if (expected === null) assert.equal(value, undefined, `${name}: ${shown}`);
      else if (typeof expected === 'string') assert.equal(String(value), expected, `${name}: ${shown}`);
      else assert.match(String(value), expected, `${name}: ${shown}`);
    }
    if (call.text !== undefined) assert.equal(text, call.text, shown);
    if (call.code !== undefined) assert.equal(firstCode(text), call.code, shown);
    if (call.json !== undefined) assert.partialDeepStrictEqual(JSON.parse(text), call.json, shown);
    if (typeof answer.headers['location'] === 'string') location = answer.headers['location'];
  }
}

function firstCode(text: string): unknown {
  const document = JSON.parse(text) as { readonly errors?: readonly { readonly code?: string }[] }; // shape of the spec
  return document.errors?.[0]?.code;
}

async function* pieces(body: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(body);
  const size = Math.max(7, bytes.length >> 4);
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
