mainTables();
for (const table of document.querySelectorAll("table[data-sort]")) sortable(table, [...table.tHead.rows[0].cells]);
scrolledByKeyboard();
for (const figure of document.querySelectorAll("figure[data-live]")) chart(figure);
examples();
