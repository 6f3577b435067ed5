import type { JsonObject, Kind } from '../kind.ts';
import { builtInKinds } from './built-in-kinds.ts';
import { customKind } from './custom-kind.ts';

/** The kinds that are served now: the built-in ones and those of the CustomResourceDefinitions. */
export class ServedKinds {
  readonly #custom = new Map<string, Kind>();

  /** Takes a CustomResourceDefinition over; undefined when it is gone. */
  define(name: string, definition: JsonObject | undefined): void {
    if (definition === undefined) this.#custom.delete(name);
    else this.#custom.set(name, customKind(definition));
  }

  get all(): readonly Kind[] {
    return [...builtInKinds, ...this.#custom.values()];
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.all.find(
      (kind) => kind.plural === plural && kind.group === group && kind.version === version,
    );
  }

  /** Of a CustomResourceDefinition by its name. */
  definedBy(name: string): Kind | undefined {
    return this.#custom.get(name);
  }
}
