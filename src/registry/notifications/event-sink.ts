import type { Exchange } from '../http/exchange.ts';
import type { Happening } from './event.ts';

/**
 * Where the handlers say what a request did, right before they answer: an event that was recorded outlives the process,
 * so whoever has the answer can rely on the event. Never throws and never waits.
 */
export interface EventSink {
  record(exchange: Exchange, happening: Happening): void;
}

/** For a registry that tells nobody. */
export const silentSink: EventSink = { record: () => undefined };
