import type { JsonObject, Kind } from '../kind.ts';
import { builtInKinds } from './built-in-kinds.ts';
import { customKinds } from './custom-kind.ts';

/** The kinds that are served now: the built-in ones and those of the CustomResourceDefinitions. */
export class ServedKinds {
  readonly #custom = new Map<string, readonly Kind[]>();
  #kinds: readonly Kind[] = builtInKinds;

  /** Takes a CustomResourceDefinition over; undefined when it is gone. */
  define(name: string, definition: JsonObject | undefined): void {
    if (definition === undefined) this.#custom.delete(name);
    else this.#custom.set(name, customKinds(definition));
    this.#kinds = [...builtInKinds, ...[...this.#custom.values()].flat()];
  }

  get all(): readonly Kind[] {
    return this.#kinds;
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#kinds.find(
      (kind) => kind.plural === plural && kind.group === group && kind.version === version,
    );
  }

  /** Groups with their versions, in the order in which they came. */
  groups(): ReadonlyMap<string, readonly string[]> {
    const groups = Map.groupBy(this.#kinds, ({ group }) => group);
    return new Map(
      [...groups].map(([group, kinds]) => [group, [...new Set(kinds.map(({ version }) => version))]]),
    );
  }
}
