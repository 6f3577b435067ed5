import { request, type Dispatcher } from 'undici';
import { Normaliser } from './normaliser.ts';
import {
  withoutAnswer,
  type Answer,
  type Json,
  type JsonObject,
  type Scenario,
  type Step,
} from './scenario.ts';
import { administrate, until, type GoldenServer, type RawAnswer } from './server.ts';

/** How long a watch may take to bring what it should, beside its own timeout. */
const PATIENCE_MS = 2_000;

/**
 * Asks a server all of a scenario, in new namespaces, and returns the normalised answer to each step. Where steps have
 * answers already they number the placeholders, and say how many events a watch brings.
 */
export async function play(
  topic: string,
  scenario: Scenario,
  server: GoldenServer,
): Promise<readonly Answer[]> {
  const requests = JSON.stringify(scenario.steps.map(withoutAnswer));
  const suffix = Math.random().toString(36).slice(2, 7).padEnd(5, '0');
  const names = new Map([
    [`golden-${topic}-${suffix}-b`, '<other>'],
    [`golden-${topic}-${suffix}`, '<namespace>'],
  ]);
  for (const [name, placeholder] of names) {
    if (placeholder === '<other>' && !requests.includes(placeholder)) continue;
    await administrate(server, 'POST', '/api/v1/namespaces', { metadata: { name } });
  }
  const places = new Map([...names].map(([name, placeholder]) => [placeholder, name]));
  const identities = await identitiesOf(scenario, server, places.get('<namespace>') ?? '');
  const normaliser = new Normaliser(
    requests,
    names,
    scenario.steps.some(({ answer }) => answer !== undefined),
  );
  const bodies = new Map<string, Json>();
  const answers: Answer[] = [];
  for (const step of scenario.steps) {
    if (step.afterCompaction) await server.compact();
    const resolved = resolve(step, places, bodies);
    const identity = identities.get(step.as ?? '');
    if (identity === undefined) throw new Error(`${topic} has no account ${step.as}`);
    const answer = await ask(server, resolved, identity);
    if (step.name !== undefined) bodies.set(step.name, answer.body ?? answer.events ?? null);
    answers.push(normaliser.normalise(answer, step.answer));
  }
  return answers;
}

async function identitiesOf(
  scenario: Scenario,
  server: GoldenServer,
  namespace: string,
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const identities = new Map<string, Readonly<Record<string, string>>>([
    ['', server.administrator],
    ['nobody', {}],
    ['forger', { authorization: 'Bearer forged' }],
  ]);
  for (const [name, rules] of Object.entries(scenario.accounts ?? {})) {
    identities.set(name, await server.account(namespace, name, rules));
  }
  return identities;
}

const REFERENCE = /<([a-z][a-zA-Z]*)((?:\.[^.<>\s]+)*)>/g;

/** The step with its placeholders filled in; one that is the whole of a value may stand for any value. Throws for one that stands for nothing. */
function resolve(step: Step, places: ReadonlyMap<string, string>, bodies: ReadonlyMap<string, Json>): Step {
  const lookUp = (placeholder: string, name: string, path: string): Json => {
    const place = places.get(placeholder);
    if (place !== undefined) return place;
    const value = path
      .split('.')
      .slice(1)
      .reduce<Json | undefined>((at, key) => (at as JsonObject | undefined)?.[key], bodies.get(name));
    if (value === undefined) throw new Error(`${step.request}: ${placeholder} is nothing`);
    return value;
  };
  const fill = (text: string, encode: (value: string) => string): string =>
    text.replace(REFERENCE, (placeholder, name: string, path: string) => {
      const value = lookUp(placeholder, name, path);
      return encode(typeof value === 'string' ? value : JSON.stringify(value));
    });
  const walk = (value: Json): Json => {
    if (typeof value === 'string') {
      const whole = new RegExp(`^${REFERENCE.source}$`).exec(value);
      return whole === null ? fill(value, String) : lookUp(whole[0], whole[1] ?? '', whole[2] ?? '');
    }
    if (Array.isArray(value)) return value.map((item: Json) => walk(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [fill(key, String), walk(item)]));
  };
  return {
    ...step,
    request: fill(step.request, encodeURIComponent),
    ...(step.body !== undefined && { body: walk(step.body) }),
    ...(step.meanwhile && { meanwhile: step.meanwhile.map((other) => resolve(other, places, bodies)) }),
  };
}

async function ask(
  server: GoldenServer,
  step: Step,
  identity: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { until: awaited } = step;
  if (awaited === undefined) return askOnce(server, step, identity);
  let answer = await askOnce(server, step, identity);
  await until(async () => {
    const isThere =
      typeof awaited === 'number'
        ? answer.status === awaited
        : answer.status < 300 && JSON.stringify([answer.body, answer.events]).includes(awaited);
    if (!isThere) answer = await askOnce(server, step, identity);
    return isThere;
  }, `${step.request} to answer ${awaited}`);
  return answer;
}

async function askOnce(
  server: GoldenServer,
  step: Step,
  identity: Readonly<Record<string, string>>,
): Promise<Answer> {
  const [method = '', target = ''] = step.request.split(' ');
  const response = await request(server.origin + target, {
    // Undici's type has it that any text goes.
    method,
    dispatcher: server.dispatcher,
    headers: {
      accept: 'application/json',
      'user-agent': 'golden/1',
      ...(step.body !== undefined && typeof step.body !== 'string' && { 'content-type': 'application/json' }),
      ...identity,
      ...step.headers,
    },
    body: bodyText(step.body),
  });
  const isWatch = /[?&]watch=(?!false|0)/.test(target) && response.statusCode === 200;
  for (const other of step.meanwhile ?? []) {
    const { status } = await askOnce(server, other, identity);
    if (status >= 300) throw new Error(`${other.request} was answered with ${status}`);
  }
  const text = isWatch
    ? await readWatch(server, target, response.body, step.answer?.events?.filter(isChange).length)
    : await response.body.text();
  return answerOf({ status: response.statusCode, headers: response.headers, text }, isWatch);
}

function bodyText(body: Json | undefined): string | null {
  if (body === undefined) return null;
  return typeof body === 'string' ? body : JSON.stringify(body);
}

/**
 * All that a watch brings until its timeout. A server whose time is moved by hand has it moved when the `expected` number
 * of events is there; more than these are seen all the same.
 */
async function readWatch(
  server: GoldenServer,
  target: string,
  body: Dispatcher.ResponseData['body'],
  expected = 0,
): Promise<string> {
  const seconds = Number(/[?&]timeoutSeconds=(\d+)/.exec(target)?.[1] ?? Number.NaN);
  if (Number.isNaN(seconds)) throw new Error(`${target}: a watch needs timeoutSeconds`);
  const stop = setTimeout(() => body.destroy(), seconds * 1_000 + PATIENCE_MS);
  let text = '';
  let isMoved = server.passTime === undefined;
  const move = async (): Promise<void> => {
    if (isMoved || text.split('\n').length <= expected) return;
    isMoved = true;
    await server.passTime?.(seconds);
  };
  try {
    await move();
    for await (const chunk of body) {
      text += String(chunk);
      await move();
    }
  } catch {
    // Too few events, or a stream that does not end: what came is compared.
  } finally {
    clearTimeout(stop);
  }
  return text;
}

/** Bookmarks come with time. */
function isChange(event: Json): boolean {
  return (event as JsonObject)['type'] !== 'BOOKMARK';
}

function answerOf(raw: RawAnswer, isWatch: boolean): Answer {
  const headers: Record<string, string> = {};
  for (const name of ['content-type', 'warning', 'retry-after', 'location', 'allow', 'www-authenticate']) {
    const value = raw.headers[name];
    if (value === undefined || (name === 'content-type' && value === 'application/json')) continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return {
    status: raw.status,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(isWatch
      ? {
          events: raw.text
            .split('\n')
            .filter((line) => line !== '')
            .map(parse),
        }
      : { body: parse(raw.text) }),
  };
}

/** JSON as its value, anything else as text. */
function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
