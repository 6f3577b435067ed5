/** The messages between two processes. */
export interface Port {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** The other process is no more, or does not listen any more. */
  onGone(listener: () => void): void;
}

/** What one side can be asked, by name. Arguments and answers are copied on the way. */
type Calls<T> = { readonly [K in keyof T]: (argument: never) => unknown };

interface Call {
  readonly call: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly answer: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** The other process ended before it answered. */
export class ChannelClosedError extends Error {
  override readonly name = 'ChannelClosedError';
}

/** Calls from one process to the other and back. `Ours` is what we answer, `Theirs` what we may ask. */
export class Channel<Ours extends Calls<Ours>, Theirs extends Calls<Theirs>> {
  readonly #port: Port;
  readonly #ours: Ours;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;
  #closed = false;

  constructor(port: Port, ours: Ours) {
    this.#port = port;
    this.#ours = ours;
    // Both processes run the same program, and nobody else has the other end.
    port.onMessage((message) => this.#take(message as Call | Answer));
    port.onGone(() => this.#close());
  }

  /** @throws Error with the message of what the other side threw; ChannelClosedError */
  call<K extends keyof Theirs & string>(
    name: K,
    ...[argument]: Parameters<Theirs[K]>
  ): Promise<Awaited<ReturnType<Theirs[K]>>> {
    if (this.#closed) return Promise.reject(new ChannelClosedError('the other process has ended'));
    const call = ++this.#calls;
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(call, answer);
    this.#port.send({ call, name, argument } satisfies Call);
    return answer.promise as Promise<Awaited<ReturnType<Theirs[K]>>>; // what the other side's function returned
  }

  #take(message: Call | Answer): void {
    if ('call' in message) {
      void this.#answer(message);
      return;
    }
    const { answer, value, error } = message;
    const pending = this.#pending.get(answer);
    this.#pending.delete(answer);
    if (error === undefined) pending?.resolve(value);
    else pending?.reject(new Error(error));
  }

  async #answer({ call, name, argument }: Call): Promise<void> {
    let message: Answer;
    try {
      // The types of `call` see to it that the name is one of ours and the argument fits.
      const ours = this.#ours[name as keyof Ours] as (argument: never) => unknown;
      message = { answer: call, value: await ours.call(this.#ours, argument as never) };
    } catch (error) {
      message = { answer: call, error: error instanceof Error ? error.message : String(error) };
    }
    if (!this.#closed) this.#port.send(message);
  }

  #close(): void {
    this.#closed = true;
    for (const { reject } of this.#pending.values()) {
      reject(new ChannelClosedError('the other process has ended'));
    }
    this.#pending.clear();
  }
}
