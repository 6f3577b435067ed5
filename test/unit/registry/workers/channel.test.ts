import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Channel, ChannelClosedError, type Port } from '../../../../src/registry/workers/channel.ts';

interface Calls {
  double(this: void, value: number): Promise<number>;
  fail(this: void): void;
}

const calls: Calls = {
  double: async (value) => 2 * value,
  fail() {
    throw new Error('no');
  },
};

/** Two ends, each message of which arrives a little later. */
function ports(): { readonly ends: readonly [Port, Port]; readonly cut: () => void } {
  const gone: (() => void)[] = [];
  const listeners: ((message: unknown) => void)[][] = [[], []];
  const end = (own: number): Port => ({
    send: (message) => setImmediate(() => listeners[1 - own]?.forEach((listener) => listener(message))),
    onMessage: (listener) => void listeners[own]?.push(listener),
    onGone: (listener) => void gone.push(listener),
  });
  return { ends: [end(0), end(1)], cut: () => gone.forEach((listener) => listener()) };
}

describe('a channel between two processes', () => {
  test('answers both ways, each call its own', async () => {
    const { ends } = ports();
    const one = new Channel<Calls, Calls>(ends[0], calls);
    const other = new Channel<Calls, Calls>(ends[1], calls);
    const answers = [one.call('double', 1), one.call('double', 2), other.call('double', 3)];
    assert.deepEqual(await Promise.all(answers), [2, 4, 6]);
  });

  test('tells what went wrong on the other side', async () => {
    const { ends } = ports();
    const one = new Channel<Calls, Calls>(ends[0], calls);
    const other = new Channel<Calls, Calls>(ends[1], calls);
    await assert.rejects(one.call('fail'), { message: 'no' });
    assert.equal(await other.call('double', 4), 8);
  });

  test('leaves nobody waiting for a process that is no more', async () => {
    const { ends, cut } = ports();
    const one = new Channel<Calls, Calls>(ends[0], calls);
    const waiting = one.call('double', 1);
    cut();
    await assert.rejects(waiting, ChannelClosedError);
    await assert.rejects(one.call('double', 1), ChannelClosedError);
  });
});
