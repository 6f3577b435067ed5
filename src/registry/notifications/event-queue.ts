/** Events that wait for one endpoint, in order. Each is a line of JSON. */
export interface EventQueue {
  readonly size: number;
  /** Events that were given up because the endpoint refused them, and that are still kept. */
  readonly deadLetters: number;
  /** Adds an event at the end; past the limit the oldest make room. @returns how many were given up for it. */
  push(event: string): number;
  /** The first event, undefined when none waits. */
  peek(): string | undefined;
  /** Takes the first event out. */
  shift(): void;
  /** Takes the first event out and keeps it as a dead letter. */
  bury(): void;
  /** What was pushed survives a power cut once this resolves. */
  sync(): Promise<void>;
  close(): void;
}

/** Of a queue that is full a part makes room, so that this is told now and then and not with each event. */
export function givenUpAtOnce(limit: number): number {
  return Math.ceil(limit / 10);
}

/** Keeps events in this process alone. */
export class MemoryQueue implements EventQueue {
  readonly #limit: number;
  #events: string[] = [];
  /** Events before this one have left. */
  #first = 0;
  #buried = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#events.length - this.#first;
  }

  get deadLetters(): number {
    return this.#buried;
  }

  push(event: string): number {
    this.#events.push(event);
    if (this.size <= this.#limit) return 0;
    const count = givenUpAtOnce(this.#limit);
    for (let index = 0; index < count; index++) this.shift();
    return count;
  }

  peek(): string | undefined {
    return this.#events[this.#first];
  }

  shift(): void {
    if (this.size === 0) return;
    this.#events[this.#first++] = '';
    if (this.#first < 1000 && this.#first < this.#events.length) return;
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }

  bury(): void {
    this.#buried++;
    this.shift();
  }

  async sync(): Promise<void> {}

  close(): void {}
}
