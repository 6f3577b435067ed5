/*
 * As much of XML as the answers of object stores need: elements with text, none of which lies in another of its name.
 */

/** What is between the tags of each element of a name, markup included. Name spaces are of no interest. */
export function elements(xml: string, name: string): readonly string[] {
  const tag = `(?:[\\w.-]+:)?${name}(?:\\s[^>]*?)?`;
  return Array.from(
    xml.matchAll(new RegExp(`<${tag}(?:/>|>([\\s\\S]*?)</(?:[\\w.-]+:)?${name}\\s*>)`, 'g')),
    ([, content = '']) => content,
  );
}

/** The text of the first element of a name. */
export function elementText(xml: string, name: string): string | undefined {
  const [content] = elements(xml, name);
  return content === undefined ? undefined : unescapeXml(content);
}

/** Text as it stands in an element or an attribute. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(
    /<!\[CDATA\[([\s\S]*?)\]\]>|&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g,
    (whole, data?: string, hex?: string, decimal?: string, name?: string) => {
      if (data !== undefined) return data;
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
