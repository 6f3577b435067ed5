import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { RegistryError } from '../errors.ts';
import { answerError } from './error-response.ts';
import type { Exchange } from './exchange.ts';

/** A body that brings less than this while it is looked at once counts as standing still, bytes. */
const PROGRESS = 1024;

/** Looks within the time after which a body is cut. */
const LOOKS = 4;

interface Watched {
  /** When there was progress last; monotonic milliseconds. */
  since: number;
  received: number;
  sent: number;
}

/**
 * Cuts requests whose body does not move: an upload that stands still would hold up every collector and a stop, and a
 * download that nobody reads keeps a file and its buffers. What waits for us is not the client's fault and is left alone.
 */
export class StalledBodies {
  readonly #timeout: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watched = new Map<Exchange, Watched>();
  readonly #stop = new AbortController();

  /** @param deps.timeout milliseconds, `stevedore.limits.idletimeout` */
  constructor(deps: { readonly timeout: number; readonly clock: Clock; readonly log: Logger }) {
    this.#timeout = deps.timeout;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#keepLooking().catch(() => undefined); // the wait was cut short by stop
  }

  /** Watches a request until it is over. A body may go on after the answer, when that was an error. */
  watch(exchange: Exchange): void {
    const { request, response } = exchange;
    const received = request.socket.bytesRead;
    this.#watched.set(exchange, { since: this.#clock.monotonic(), received, sent: 0 });
    const end = exchange.hasBody ? request : response;
    end.once('close', () => this.#watched.delete(exchange));
  }

  stop(): void {
    this.#stop.abort(new Error('the server stops'));
  }

  async #keepLooking(): Promise<void> {
    for (;;) {
      await this.#clock.sleep(this.#timeout / LOOKS, this.#stop.signal);
      for (const [exchange, watched] of this.#watched) {
        try {
          this.#look(exchange, watched);
        } catch (error) {
          // One that cannot be looked at must not keep the others from it.
          this.#watched.delete(exchange);
          this.#log.error({ requestId: exchange.requestId, error }, 'a request could not be watched');
        }
      }
    }
  }

  #look(exchange: Exchange, watched: Watched): void {
    const now = this.#clock.monotonic();
    const received = exchange.request.socket.bytesRead;
    const moved = received - watched.received >= PROGRESS || exchange.sentBytes !== watched.sent;
    if (moved || !waitsForClient(exchange)) {
      Object.assign(watched, { since: now, received, sent: exchange.sentBytes });
    } else if (now - watched.since >= this.#timeout) {
      this.#watched.delete(exchange);
      this.#cut(exchange);
    }
  }

  #cut(exchange: Exchange): void {
    const { request, response, requestId } = exchange;
    this.#log.info({ requestId, method: request.method, url: request.url }, 'cut a body that stood still');
    if (response.headersSent) {
      request.destroy();
      return;
    }
    response.once('finish', () => request.destroy());
    answerError(exchange, new RegistryError({ code: 'BODY_STALLED' }), this.#log);
  }
}

/** Bytes are asked for and none come, or some are on their way and are not taken. */
function waitsForClient({ request, response }: Exchange): boolean {
  const receiving = request.readableFlowing === true && !request.readableEnded;
  return receiving || response.writableLength > 0;
}
