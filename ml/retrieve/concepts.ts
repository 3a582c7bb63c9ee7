/**
 * Words of daily and office life that mean about the same, in English and French: a small hand-written table, for where no model that
 * knows meanings is installed. Each line is one idea. A word stands in one line only, the one it is most often used for; a word with
 * several unlike senses is left out, because a wrong likeness costs more than a missed one.
 */
import { words } from "./words.ts";

const lines = `
invoice invoices bill bills billing billed facture factures facturation facturer facturé
quote quotes quotation estimate estimates devis chiffrage
contract contracts agreement agreements contrat contrats convention accord
lease tenancy bail baux
tenant renter lessee locataire locataires
landlord lessor bailleur propriétaire owner
rent rents rental loyer loyers location
pay paid payment payments pays settle settled settlement payer payé payée paiement paiements règlement régler réglé
price prices cost costs tariff rate rates prix tarif tarifs coût coûts coûter
cheap cheaper inexpensive abordable économique
expensive costly cher chère onéreux
amount sum montant somme
deadline deadlines due échéance échéances délai délais
late delay delayed delays overdue retard retards tardif
deposit down-payment acompte caution arrhes
discount rebate reduction remise rabais ristourne
refund refunds reimbursement reimburse reimbursed remboursement rembourser remboursé
tax taxes vat tva taxe impôt impôts fiscal
profit earnings margin bénéfice bénéfices marge
revenue turnover sales recettes
loss losses deficit perte pertes déficit
loan loans credit borrowing prêt prêts emprunt crédit
bank banks banking banque banques bancaire
account accounts compte comptes
accountant bookkeeper accounting bookkeeping comptable comptabilité
budget budgets budgétaire
expense expenses spending expenditure dépense dépenses frais
salary salaries wage wages payroll salaire salaires rémunération paie
employee employees staff worker workers personnel salarié salariés employé employés collaborateur
hire hired hiring recruit recruitment embauche embaucher recrutement recruter
fire dismissal dismiss dismissed layoff licenciement licencier
resign resignation resigned quit démission démissionner
holiday holidays vacation vacations congé congés vacances
sick illness ill sickness maladie malade
boss manager supervisor director directeur directrice responsable gérant chef
colleague colleagues coworker collègue collègues
customer customers client clients clientèle
supplier suppliers vendor vendors fournisseur fournisseurs prestataire
subcontractor subcontractors contractor contractors sous-traitant sous-traitants
partner partners associate partenaire partenaires associé associés
company firm business enterprise société entreprise
shop store shops boutique magasin
office offices bureau bureaux
warehouse depot storage entrepôt dépôt stockage
factory plant usine atelier workshop
house home dwelling maison logement
flat apartment appartement
building buildings premises bâtiment bâtiments immeuble local locaux
room rooms pièce salle salles
kitchen cuisine
roof roofing toit toiture
wall walls mur murs
floor flooring sol plancher
window windows fenêtre fenêtres
door doors gate porte portes portail
key keys clé clés clef
stair stairs staircase escalier escaliers
lift elevator ascenseur
garden yard jardin cour
car cars vehicle vehicles auto voiture voitures véhicule véhicules
truck lorry van camion camionnette fourgon
driver drivers chauffeur conducteur
train trains railway ferroviaire
plane flight flights aircraft avion vol vols
trip travel travels journey voyage voyages déplacement déplacements
hotel lodging accommodation hôtel hébergement
meal meals lunch dinner food repas déjeuner dîner nourriture
bread bakery baker pain boulangerie boulanger
water eau eaux
electricity electric electrical power électricité électrique
heat heating heater boiler chauffage chaudière chauffe
cold cooling refrigeration fridge froid réfrigération frigo climatisation
gas gaz
oil lubricant lubrication grease huile lubrification graisse lubrifier
pump pumps pompe pompes
engine motor moteur moteurs
machine machines machinery appareil appareils équipement equipment device devices
tool tools outil outils outillage
spare replacement replace replaced rechange remplacement remplacer remplacé
part parts component components composant composants
screw bolt screws bolts vis boulon boulons
pipe pipes tube tuyau tuyaux canalisation
leak leaks leaking fuite fuites
break broken breakdown failure fault malfunction panne pannes défaillance défaut
repair repairs fix fixed mend réparation réparations réparer dépannage
maintain maintenance servicing upkeep entretien entretenir
clean cleaning cleaner nettoyage nettoyer propreté ménage
wash washing rinse laver lavage rinçage
inspect inspection inspections check checks checked contrôle contrôles contrôler vérifier vérification inspecter
test tests testing trial essai essais épreuve
measure measurement measurements mesure mesures mesurer relevé relevés
temperature temperatures température températures
pressure pression
weight weigh heavy poids peser lourd
length long longueur
width wide largeur
height tall hauteur
size sizes dimension dimensions taille
speed fast quick quickly rapid vitesse rapide rapidement
slow slowly lent lentement
noise noisy loud bruit bruyant sonore
light lighting lamp lumière éclairage lampe
fire-alarm alarm alarms alarme alarmes alerte
smoke fumée
burn fire blaze incendie feu brûler
safety safe sécurité sûreté sûr
danger dangerous hazard hazards risk risks dangereux risque risques
accident accidents injury injured injuries blessure blessé
protect protection protective protéger
glove gloves gant gants
helmet casque
insurance insurer insured insure assurance assurances assureur assuré
claim claims sinistre sinistres réclamation réclamations complaint complaints plainte
damage damages damaged dégât dégâts dommage dommages endommagé
theft stolen steal robbery burglary vol-par-effraction cambriolage volé
police gendarmerie
lawyer solicitor attorney avocat avocats juriste
court tribunal judge judgment juge jugement
law legal loi lois juridique légal
sign signed signature signatures signer signé
cancel cancelled cancellation annuler annulé annulation
terminate termination end-of-contract résiliation résilier résilié
renew renewal renewed renouvellement renouveler renouvelé reconduction
notice-period préavis
warranty guarantee guaranteed garantie garanties garanti
obligation obligations duty duties devoir obligatoire mandatory compulsory required
right rights droit droits
permit permission license licence permis autorisation
forbidden prohibited banned interdit interdiction défendu
rule rules regulation regulations règle règles règlementation
confidential confidentiality secret secrecy confidentialité confidentiel
password passwords passcode credential mot-de-passe
computer computers laptop pc ordinateur ordinateurs portable
software program application logiciel logiciels
network internet wifi réseau
website site-web
phone telephone call calls téléphone appel appels appeler
mail email emails courriel courriels
letter letters lettre lettres courrier
parcel package packages shipment colis expédition envoi
deliver delivery delivered deliveries livraison livraisons livrer livré
order orders ordered purchase purchases buy bought buying commande commandes commander achat achats acheter
sell sold selling vendre vendu vente ventes
stock inventory stocks inventaire
receive received receipt reception réception recevoir reçu
send sent sending envoyer envoyé expédier
return returns returned retour retours retourner
meeting meetings réunion réunions assemblée
agenda ordre-du-jour
minutes compte-rendu procès-verbal
attend attended attendees present participants présents participer
absent missing absence absents excusé
decide decided decision decisions décider décidé décision décisions
vote voted votes voting voter scrutin
approve approved approval approuver approuvé approbation valider validé validation
refuse refused reject rejected refusal refuser refusé rejeter refus
ask asked request requests requested demander demande demandes demandé
answer answers reply replied response réponse réponses répondre
question questions
problem problems issue issues trouble problème problèmes souci soucis difficulté
solution solutions solve solved résoudre résolu
project projects projet projets
task tasks job tâche tâches
plan plans planning schedule timetable scheduled calendrier planification horaire horaires
start begin began beginning started commencement commencer début débuter démarrage démarrer
end ends ended finish finished ending expiry expire expires fin finir terminer terminé expirer expiration
open opening opened opens ouvrir ouvert ouverture
close closed closing closure fermer fermé fermeture
date dates
day days jour jours journée
week weeks weekly semaine semaines hebdomadaire
month months monthly mois mensuel mensuelle mensualité
year years yearly annual annually année années annuel annuelle annuels
hour hours heure heures
morning matin matinée
afternoon après-midi
evening night soir soirée nuit
monday lundi
tuesday mardi
wednesday mercredi
thursday jeudi
friday vendredi
saturday samedi
sunday dimanche
winter hiver
summer été
spring printemps
autumn fall automne
child children kid kids enfant enfants
school schools école écoles scolaire
student students pupil pupils élève élèves étudiant étudiants
teacher teachers trainer enseignant professeur formateur
training course courses formation formations stage
doctor physician médecin docteur
hospital clinic hôpital clinique
medicine drug drugs medication médicament médicaments
patient patients
dog dogs chien chiens
cat cats chat chats
bee bees hive beekeeping abeille abeilles ruche apiculture
tree trees arbre arbres
wood timber wooden bois
metal steel iron métal acier fer
plastic plastique
paper papier
glass verre
paint painting painted peinture peindre peint
colour color colours couleur couleurs
concrete cement béton ciment
brick bricks brique briques
tile tiles tiling carrelage carreau
insulation insulated isolation isolant
plumber plumbing plombier plomberie sanitaire
carpenter carpentry joinery menuisier menuiserie charpente
mason masonry maçon maçonnerie
electrician électricien
architect architecte architectes
site worksite chantier chantiers
work works travaux ouvrage
waste rubbish garbage trash déchet déchets ordures
recycle recycling tri recyclage
environment environmental environnement écologique
land plot terrain parcelle
map carte cartes
address addresses adresse adresses
city town ville commune municipality mairie municipal
country pays-étranger
name names nom noms
number numbers numéro numéros
list lists liste listes
report reports rapport rapports
document documents file files fichier fichiers dossier
copy copies copie exemplaire
photo photograph picture pictures image images photographie
drawing drawings dessin dessins schéma
manual handbook instructions guide notice mode-d'emploi
step steps étape étapes
change changes changed modify modification modified changement modifier modifié
increase increased rise raise higher augmentation augmenter hausse
decrease decreased lower drop diminution baisse diminuer réduire
improve improvement améliorer amélioration
quality qualité
quantity quantities quantité quantités
new nouveau nouvelle neuf
old ancien ancienne vieux
big large great grand grande gros
small little petit petite
empty vide vider
full plein remplir
help assist assistance aide aider support
visit visits visite visites visiter
guest guests visitor invité invités visiteur
event events événement événements
party celebration fête
gift present-cadeau cadeau cadeaux
music musique musical
film movie cinéma
book books livre livres
library bibliothèque
museum musée
tourist tourism tourisme touriste
beach sea plage mer
mountain montagne
river rivière fleuve
ferry boat boats ship bateau bateaux navire bac
harbour harbor port ports
animal animals animaux
farm farmer farming ferme agriculteur agricole
milk lait laitier
cheese fromage
meat viande
fish poisson
fruit fruits
vegetable vegetables légume légumes
coffee café
wine vin vins
beer bière
member members membre membres adhérent adhérents
association club
fee fees dues subscription cotisation cotisations abonnement
grant grants subsidy subvention subventions
volunteer volunteers bénévole bénévoles
neighbour neighbor neighbours voisin voisins voisinage
manager-of-building syndic
retire retirement pension retraite retraité
birth born naissance né
death died décès mort
marriage wedding married mariage marié
family famille
young youth jeune jeunes
choose chosen choice choisir choisi choix
keep kept keeping garder gardé conserver conservé conservation
store-keeper magasinier
lose lost perdre perdu
find found trouver trouvé
wait waiting attendre attente
forget forgot oublier oublié
remember rappel rappeler reminder reminders relance
inform informed informer information informations
warn warning avertir avertissement
explain explanation expliquer explication
compare comparison comparer comparaison
calculate calculation calcul calculer
total totals
average mean-value moyenne moyen
half demi moitié
percent percentage pourcentage pourcent
target goal objective objectif objectifs cible but
result results résultat résultats
cause causes reason raison motif
advice recommend recommendation recommended conseil conseils recommander recommandation recommandé
allow allowed permitted autorisé autoriser permettre
need needs besoin besoins nécessaire necessary
`;

const ideas = new Map<string, string>();
for (const line of lines.trim().split("\n")) {
  const all = line.split(" ");
  // What is written with a hyphen is two words to search, so it is kept in its line for people only.
  for (const word of all.filter((one) => !/[-']/u.test(one))) {
    for (const { stem } of words(word)) if (!ideas.has(stem)) ideas.set(stem, all[0] ?? "");
  }
}

/** The idea that a stem stands for, named by the first word of its line, if the table has it. Part of the baseline's vectors. */
export function ideaOf(stem: string): string | undefined {
  return ideas.get(stem);
}

/** The words of the table, so that a model whose vocabulary is fixed knows them too. */
export const ideaWords: readonly string[] = lines.trim().split(/\s+/u);
